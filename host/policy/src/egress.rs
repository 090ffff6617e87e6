//! The decision whether a grant covers a request, and what follows from the grants that an adapter holds.

use crate::grant::{Grant, Locality};
use crate::host::Host;
use crate::id::{AdapterId, Digest};
use crate::reach::Scope;
use crate::target::{Scheme, Target};
use jiff::civil::Date;
use std::sync::Arc;

/// What all adapters may reach: `egress` of `routing.yaml` in its valid form.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// The entries of `egress.allow`, in the file's order. All else is denied.
    pub grants: Vec<Arc<Grant>>,
    /// True if every request is local-only: the other entries grant nothing then.
    pub local_only: bool,
}

/// Who asks: an adapter with these bytes.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The adapter's id.
    pub id: &'a AdapterId,
    /// The digest of its bytes.
    pub digest: &'a Digest,
}

/// Why no grant covers a request: how far the best entry got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Denial {
    /// No entry names the host.
    Host,
    /// One names the host, but with the other scheme.
    Scheme,
    /// And the scheme, but another port.
    Port,
    /// And the port, but not this path.
    Path,
    /// And the path, but not this method.
    Method,
    /// And the method, but the entry does not apply to the model on whose behalf the request is sent.
    Model,
    /// An entry would cover the request, but its day is past.
    Expired,
    /// An entry covers the request, but leads away from here, and the request or the policy is local-only.
    NotLocal,
}

impl Denial {
    /// The reason's stable code, for log, ledger and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Host => "host-not-granted",
            Self::Scheme => "scheme-not-granted",
            Self::Port => "port-not-granted",
            Self::Path => "path-not-granted",
            Self::Method => "method-not-granted",
            Self::Model => "model-not-granted",
            Self::Expired => "grant-expired",
            Self::NotLocal => "not-local",
        }
    }
}

impl Egress {
    /// The grants that `holder` has, in the file's order.
    pub fn held_by(&self, holder: Holder<'_>) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants.iter().filter(move |grant| grant.is_held_by(holder.id, holder.digest))
    }

    /// Returns the first grant of `holder` that covers `target` as a whole and applies in this scope on the day `today` (UTC).
    ///
    /// With `local_only`, or where the policy says so for all requests, only local grants count.
    ///
    /// # Errors
    /// If there is none: with how far the best one got.
    pub fn decide(
        &self,
        holder: Holder<'_>,
        scope: &Scope,
        target: &Target,
        today: Date,
        local_only: bool,
    ) -> Result<&Arc<Grant>, Denial> {
        let local_only = local_only || self.local_only;
        let mut best = Denial::Host;
        for grant in self.held_by(holder) {
            match judge(grant, scope, target, today, local_only) {
                Ok(()) => return Ok(grant),
                Err(denial) => best = best.max(denial),
            }
        }
        Err(best)
    }

    /// Returns whether `holder` may send anything to this origin on the day `today` (UTC), on behalf of whichever model.
    #[must_use]
    pub fn reaches(&self, holder: Holder<'_>, scheme: Scheme, host: &Host, port: u16, today: Date) -> bool {
        self.held_by(holder).any(|grant| {
            let origin = grant.scheme == scheme && grant.host.covers(host) && grant.port == port;
            let local = !self.local_only || grant.locality() == Locality::Local;
            origin && local && grant.holds_on(today)
        })
    }
}

fn judge(grant: &Grant, scope: &Scope, target: &Target, today: Date, local_only: bool) -> Result<(), Denial> {
    let rules = [
        (grant.host.covers(&target.host), Denial::Host),
        (grant.scheme == target.scheme, Denial::Scheme),
        (grant.port == target.port, Denial::Port),
        (grant.path.covers(target.path()), Denial::Path),
        (grant.methods.contains(&target.method), Denial::Method),
        (grant.applies_to(scope, target), Denial::Model),
        (grant.holds_on(today), Denial::Expired),
        (!local_only || grant.locality() == Locality::Local, Denial::NotLocal),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, denial)| Err(denial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{AdapterRef, HostPattern, Network, PathPrefix};
    use crate::model_names::ModelNames;
    use crate::reach::ModelScope;
    use crate::target::Method;

    fn scope() -> Scope {
        Scope::Model(Arc::new(ModelScope { id: "m".into(), base_url: None }))
    }

    fn grant(scheme: Scheme, host: HostPattern, path: &str, methods: &[Method]) -> Arc<Grant> {
        Arc::new(Grant {
            line: 1,
            scheme,
            host,
            port: scheme.default_port(),
            path: PathPrefix::new(path),
            methods: methods.to_vec(),
            adapters: None,
            models: Some(ModelNames::All),
            network: Network::Public,
            local: false,
            secret: None,
            expires: None,
            short: false,
        })
    }

    fn exact(name: &str) -> HostPattern {
        HostPattern::Exact(name.parse().unwrap())
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn decide(grants: &[Arc<Grant>], request: &str, local_only: bool) -> Result<(), Denial> {
        let (id, digest) = ("a".parse().unwrap(), Digest::from_bytes([1; 32]));
        let egress = Egress { grants: grants.to_vec(), local_only: false };
        let (method, url) = request.split_once(' ').unwrap();
        let target = Target::parse(method, url).unwrap();
        let holder = Holder { id: &id, digest: &digest };
        let decided = egress.decide(holder, &scope(), &target, day("2026-11-22"), local_only).map(drop);
        let switched =
            Egress { local_only: true, ..egress }.decide(holder, &scope(), &target, day("2026-11-22"), false).map(drop);
        assert!(!local_only || decided == switched, "the policy's switch and the request's say the same: {request}");
        decided
    }

    #[track_caller]
    fn check(grants: &[Arc<Grant>], request: &str, expected: Result<(), Denial>) {
        assert_eq!(decide(grants, request, false), expected, "{request}");
    }

    #[test]
    fn one_entry_covers_the_whole_request() {
        let grants = [
            grant(Scheme::Https, exact("api.allowed.test"), "/v1/", &[Method::Post]),
            grant(Scheme::Https, exact("api.allowed.test"), "/status", &[Method::Get]),
        ];
        check(&grants, "POST https://api.allowed.test/v1/chat", Ok(()));
        check(&grants, "POST https://api.allowed.test:443/v1/", Ok(()));
        check(&grants, "GET https://api.allowed.test/status/x?y=z", Ok(()));
        check(&grants, "GET https://api.allowed.test/v1/chat", Err(Denial::Method));
        check(&grants, "POST https://api.allowed.test/status", Err(Denial::Method));
        check(&grants, "POST https://api.allowed.test/v1evil", Err(Denial::Path));
        check(&grants, "POST https://api.allowed.test/v1", Err(Denial::Path));
        check(&grants, "GET https://api.allowed.test/statuses", Err(Denial::Path));
        check(&grants, "POST https://api.allowed.test/V1/chat", Err(Denial::Path));
        check(&grants, "POST https://api.allowed.test:8443/v1/chat", Err(Denial::Port));
        check(&grants, "POST http://api.allowed.test:443/v1/chat", Err(Denial::Scheme));
        check(&grants, "POST https://api.allowed.test.evil.test/v1/chat", Err(Denial::Host));
        check(&[], "POST https://api.allowed.test/v1/chat", Err(Denial::Host));
    }

    #[test]
    fn wildcards_stand_for_one_label() {
        let grants = [grant(Scheme::Https, HostPattern::OneLabelBelow(".allowed.test".into()), "/", &[Method::Get])];
        check(&grants, "GET https://a.allowed.test/", Ok(()));
        for host in ["evilallowed.test", "allowed.test", "allowed.test.evil", "a.b.allowed.test", "127.0.0.1"] {
            check(&grants, &format!("GET https://{host}/"), Err(Denial::Host));
        }
    }

    #[test]
    fn a_grant_holds_through_its_last_day() {
        let mut entry = (*grant(Scheme::Https, exact("a.test"), "/", &[Method::Get])).clone();
        entry.expires = Some(day("2026-11-22"));
        check(&[Arc::new(entry.clone())], "GET https://a.test/", Ok(()));
        entry.expires = Some(day("2026-11-21"));
        check(&[Arc::new(entry)], "GET https://a.test/", Err(Denial::Expired));
    }

    #[test]
    fn grants_go_to_whom_they_name() {
        let (a, b): (AdapterId, AdapterId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (one, two) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        let mut entry = (*grant(Scheme::Https, exact("a.test"), "/", &[Method::Get])).clone();
        assert!(entry.is_held_by(&a, &one) && entry.is_held_by(&b, &two));
        entry.adapters = Some(vec![AdapterRef { id: a.clone(), digest: Some(one) }]);
        assert!(entry.is_held_by(&a, &one) && !entry.is_held_by(&a, &two) && !entry.is_held_by(&b, &one));
        entry.adapters = Some(vec![]);
        assert!(!entry.is_held_by(&a, &one));
        // The gateway's own telemetry needs an entry that names it.
        let telemetry = AdapterId::telemetry();
        entry.adapters = None;
        assert!(!entry.is_held_by(&telemetry, &one) && entry.is_held_by(&a, &one));
        entry.adapters = Some(vec![AdapterRef { id: telemetry.clone(), digest: None }]);
        assert!(entry.is_held_by(&telemetry, &one));
    }

    fn on(network: Network, local: bool) -> Arc<Grant> {
        let mut entry = (*grant(Scheme::Http, exact("localhost"), "/", &[Method::Get])).clone();
        (entry.network, entry.local) = (network, local);
        Arc::new(entry)
    }

    #[test]
    fn what_is_not_local_grants_nothing_to_a_request_that_has_to_stay() {
        let request = "GET http://localhost/x";
        for (network, local, expected) in [
            (Network::Loopback, false, Ok(())),
            (Network::Private, true, Ok(())),
            (Network::Private, false, Err(Denial::NotLocal)),
            (Network::Public, false, Err(Denial::NotLocal)),
        ] {
            assert_eq!(decide(&[on(network, local)], request, true), expected, "{network:?} {local}");
            check(&[on(network, local)], request, Ok(()));
        }
        // The first local one, though another stands before it.
        assert_eq!(decide(&[on(Network::Public, false), on(Network::Loopback, false)], request, true), Ok(()));
    }

    #[test]
    fn an_origin_is_reached_while_one_entry_names_it() {
        let (id, digest) = ("a".parse().unwrap(), Digest::from_bytes([1; 32]));
        let holder = Holder { id: &id, digest: &digest };
        let mut entry = (*grant(Scheme::Https, exact("a.test"), "/v1", &[Method::Get])).clone();
        entry.expires = Some(day("2026-11-22"));
        let egress = Egress { grants: vec![Arc::new(entry.clone())], local_only: false };
        let reaches = |egress: &Egress, scheme, host: &str, port, today| {
            egress.reaches(holder, scheme, &host.parse().unwrap(), port, day(today))
        };
        assert!(reaches(&egress, Scheme::Https, "a.test", 443, "2026-11-22"));
        assert!(!reaches(&egress, Scheme::Https, "a.test", 443, "2026-11-23"));
        assert!(!reaches(&egress, Scheme::Http, "a.test", 443, "2026-11-22"));
        assert!(!reaches(&egress, Scheme::Https, "b.test", 443, "2026-11-22"));
        assert!(!reaches(&egress, Scheme::Https, "a.test", 80, "2026-11-22"));
        let switched = Egress { local_only: true, ..egress };
        assert!(!reaches(&switched, Scheme::Https, "a.test", 443, "2026-11-22"));
        entry.adapters = Some(vec![]);
        let egress = Egress { grants: vec![Arc::new(entry)], local_only: false };
        assert!(!reaches(&egress, Scheme::Https, "a.test", 443, "2026-11-22"));
    }

    /// Ledgers and dashboards keep these codes.
    #[test]
    fn denial_has_a_stable_code() {
        for (denial, expected) in [
            (Denial::Host, "host-not-granted"),
            (Denial::Scheme, "scheme-not-granted"),
            (Denial::Port, "port-not-granted"),
            (Denial::Path, "path-not-granted"),
            (Denial::Method, "method-not-granted"),
            (Denial::Model, "model-not-granted"),
            (Denial::Expired, "grant-expired"),
            (Denial::NotLocal, "not-local"),
        ] {
            assert_eq!(denial.code(), expected);
        }
    }
}
