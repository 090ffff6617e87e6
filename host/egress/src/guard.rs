//! The guard: decides over each request anew, and is the only one to make a [`Permit`].
//!
//! In goes the text of what an adapter asks for. The text is judged first, without a DNS query; then its name is resolved
//! once; then every address of it is judged. Out comes a permit for exactly these addresses, or the reason why not.

use crate::account::Account;
use crate::advice::Entry;
use crate::ledger::{LedgerUnavailable, Slip};
use crate::pass::{Pass, Standing, today};
use crate::resolve::MAX_ADDRESSES;
use crate::shared::Policy;
use crate::timeouts::Clocks;
use crate::{Asked, Caller, Decision, Denied, DnsError, EgressError, Shared, Timeouts, Verdict, advice, dial};
use hauski_policy::{
    AdapterId, AddressClass, Denial, Grant, Host, HostPattern, Locality, MAX_URL, Scheme, Scope, Target, address,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::time::timeout_at;

/// What an adapter asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The inbound request's id, for log and ledger.
    pub request_id: &'a Arc<str>,
    /// The party on whose behalf the request is sent: grants depend on it.
    pub scope: &'a Scope,
    /// The method, as the guest wrote it.
    pub method: &'a str,
    /// Where to, as the guest wrote it.
    pub to: Destination<'a>,
    /// Whether the request may go to what is local only, whatever else is granted.
    pub local_only: bool,
    /// The time-outs that the guest and the runtime want.
    pub timeouts: Timeouts,
}

impl<'a> Ask<'a> {
    /// Returns the decision over this request.
    fn decision(&self, caller: &'a Caller, asked: Asked<'a>, verdict: Verdict<'a>) -> Decision<'a> {
        Decision { caller, scope: self.scope, request_id: self.request_id, asked, verdict }
    }
}

/// A URL as a guest has it.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    /// In one text.
    Url(&'a str),
    /// In parts, as `wasi:http` has it.
    Parts {
        /// Without `://`.
        scheme: &'a str,
        /// Host and port.
        authority: &'a str,
        /// Path and query; empty means `/`.
        path_and_query: &'a str,
    },
}

impl Destination<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Url(url) => url.len(),
            Self::Parts { scheme, authority, path_and_query } => {
                scheme.len() + "://".len() + authority.len() + path_and_query.len()
            }
        }
    }
}

/// The leave to send one request to the addresses that it names.
///
/// Only the guard makes one, and [`crate::Door::send`] takes it: one permit, one request. One that is not used is accounted for
/// as well.
#[derive(Debug)]
pub struct Permit(pub(crate) Account);

impl Permit {
    /// Who was permitted.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0.pass().caller
    }

    /// The inbound request's id.
    #[must_use]
    pub fn request_id(&self) -> &Arc<str> {
        &self.0.pass().request_id
    }

    /// The party on whose behalf the request is sent.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.0.pass().scope
    }

    /// What is permitted.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0.pass().target
    }

    /// The grant that permits it.
    #[must_use]
    pub fn grant(&self) -> &Arc<Grant> {
        &self.0.pass().grant
    }

    /// The addresses that may be dialled: never empty, each in canonical form.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.pass().addresses
    }
}

/// A denial, with the target where the text was one.
pub(crate) struct Refusal {
    pub(crate) error: EgressError,
    pub(crate) target: Option<Target>,
    /// Whether the adapter chose the host's name, below a granted wildcard.
    is_chosen: bool,
}

impl Refusal {
    /// Returns the error that the adapter sees. Where it chose the name, that a name has only addresses that are not granted must
    /// not be told from that there is no such name: it could find out which internal names there are.
    pub(crate) fn into_error(self) -> EgressError {
        match self.error {
            EgressError::Denied(denied) if self.is_chosen && denied.is_of_address() => DnsError::NotGranted.into(),
            error => error,
        }
    }
}

/// Decides over one request, and tells ledger, observer and log.
pub(crate) async fn judge(shared: &Arc<Shared>, caller: &Caller, ask: &Ask<'_>) -> Result<Permit, Refusal> {
    let slip = shared.ledger.reserve().map_err(|unavailable| unrecorded(shared, caller, ask, unavailable))?;
    let target = match parse(ask) {
        Ok(target) => target,
        Err(denied) => {
            let shown = advice::show(ask.method, &ask.to);
            let (asked, verdict) = (Asked::Text(&shown), Verdict::Denied(&denied));
            tell(shared, slip, &ask.decision(caller, asked, verdict));
            warn(caller, ask, &asked, &denied, None);
            return Err(Refusal { error: denied.into(), target: None, is_chosen: false });
        }
    };
    let open = Open { shared, caller, ask, target: &target, slip: Some(slip) };
    let clocks = Clocks::start(&ask.timeouts, caller.limits());
    let policy = shared.policy();
    let asked = Asking { caller, scope: ask.scope, target: &target, local_only: ask.local_only, clocks: &clocks };
    match decide(shared, &policy, &asked).await {
        Ok((grant, addresses)) => {
            let slip = open.allow(&grant);
            let (caller, request_id, day) = (caller.clone(), Arc::clone(ask.request_id), today());
            let scope = ask.scope.clone();
            let pass =
                Pass { caller, request_id, scope, target, local_only: ask.local_only, day, grant, addresses, clocks };
            let standing = Standing::new(Arc::clone(shared), Arc::new(pass), policy.generation);
            Ok(Permit(Account::open(standing, policy, slip)))
        }
        Err(error) => {
            if let EgressError::Denied(denied) = &error {
                open.close(Verdict::Denied(denied));
                let entry = advice::entry(caller, ask.scope, &target, denied);
                let is_local = |_: &str| is_local(&policy, caller, ask.scope);
                let makes_cloud = entry.as_ref().is_some_and(|entry| entry.makes_cloud(is_local).is_some());
                warn(caller, ask, &Asked::Target(&target), denied, entry.as_ref().map(|entry| (entry, makes_cloud)));
            } else {
                open.close(Verdict::Unresolved(&error));
            }
            let chosen = |grant: &Arc<Grant>| matches!(grant.host, HostPattern::OneLabelBelow(_));
            let is_chosen = asked.grant(&policy).is_ok_and(chosen);
            Err(Refusal { error, target: Some(target), is_chosen })
        }
    }
}

/// A question that waits for its decision. Dropped before that, it is told as well: its name may have been asked for.
struct Open<'a> {
    shared: &'a Shared,
    caller: &'a Caller,
    ask: &'a Ask<'a>,
    target: &'a Target,
    slip: Option<Slip>,
}

impl Open<'_> {
    fn decision<'a>(&'a self, verdict: Verdict<'a>) -> Decision<'a> {
        self.ask.decision(self.caller, Asked::Target(self.target), verdict)
    }

    /// Tells that it is allowed; what comes of it goes into the slip.
    fn allow(mut self, grant: &Grant) -> Option<Slip> {
        self.shared.observer.decided(&self.decision(Verdict::Allowed(grant)));
        self.slip.take()
    }

    /// Tells that it is over.
    fn close(mut self, verdict: Verdict<'_>) {
        self.tell(verdict);
    }

    fn tell(&mut self, verdict: Verdict<'_>) {
        if let Some(slip) = self.slip.take() {
            tell(self.shared, slip, &self.decision(verdict));
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.tell(Verdict::Unresolved(&EgressError::Abandoned));
    }
}

/// Tells of a request that is over with the decision.
fn tell(shared: &Shared, slip: Slip, decision: &Decision<'_>) {
    shared.observer.decided(decision);
    slip.denied(decision);
}

/// What can't be recorded is not decided, and not sent.
fn unrecorded(shared: &Shared, caller: &Caller, ask: &Ask<'_>, unavailable: LedgerUnavailable) -> Refusal {
    let error = EgressError::Unrecorded(unavailable);
    let (asked, verdict) = (advice::show(ask.method, &ask.to), Verdict::Unresolved(&error));
    let asked = Asked::Text(&asked);
    shared.observer.decided(&ask.decision(caller, asked, verdict));
    Refusal { error, target: None, is_chosen: false }
}

fn parse(ask: &Ask<'_>) -> Result<Target, Denied> {
    if ask.to.len() > MAX_URL {
        return Err(Denied::UrlTooLong);
    }
    let target = match ask.to {
        Destination::Url(url) => Target::parse(ask.method, url)?,
        Destination::Parts { scheme, authority, path_and_query } => {
            Target::from_parts(ask.method, scheme, authority, path_and_query)?
        }
    };
    Ok(target)
}

/// A request whose text is one.
struct Asking<'a> {
    caller: &'a Caller,
    scope: &'a Scope,
    target: &'a Target,
    local_only: bool,
    clocks: &'a Clocks,
}

impl Asking<'_> {
    /// Returns the grant that covers the request's text.
    fn grant<'a>(&self, policy: &'a Policy) -> Result<&'a Arc<Grant>, Denial> {
        policy.egress.decide(self.caller.holder(), self.scope, self.target, today(), self.local_only)
    }
}

/// The grant that covers the request, and the addresses that may be dialled for it.
async fn decide(
    shared: &Shared,
    policy: &Policy,
    asked: &Asking<'_>,
) -> Result<(Arc<Grant>, Vec<SocketAddr>), EgressError> {
    let Asking { caller, target, clocks, .. } = *asked;
    let grant = asked.grant(policy).map_err(Denied::Grant)?;
    let addresses = resolve(shared, caller.id(), target, clocks).await?;
    for address in &addresses {
        check(shared, grant, target.host(), *address)?;
    }
    Ok((Arc::clone(grant), addresses))
}

/// All addresses of the host, in canonical form and in the resolver's order, each once.
async fn resolve(
    shared: &Shared,
    adapter: &AdapterId,
    target: &Target,
    clocks: &Clocks,
) -> Result<Vec<SocketAddr>, EgressError> {
    let found = match target.host() {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            let answer = timeout_at(clocks.until(clocks.connect), shared.resolver.resolve(adapter, name)).await;
            match answer {
                Ok(answer) => answer.map_err(|error| DnsError::Failed(Arc::new(error)))?,
                Err(_elapsed) if clocks.is_over() => return Err(EgressError::TotalTimeout),
                Err(_elapsed) => return Err(DnsError::Timeout.into()),
            }
        }
    };
    if found.len() > MAX_ADDRESSES {
        return Err(DnsError::TooMany.into());
    }
    let mut addresses: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for ip in found {
        let address = SocketAddr::new(address::canonical(ip), target.port());
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(DnsError::Empty.into()) } else { Ok(addresses) }
}

fn check(shared: &Shared, grant: &Grant, host: &Host, address: SocketAddr) -> Result<(), Denied> {
    let ip: IpAddr = address.ip();
    let class = address::classify(ip);
    let strayed = host.is_localhost() && class != AddressClass::Loopback;
    if !grant.network.covers(class) || strayed {
        return Err(Denied::AddressClass { address: ip, class });
    }
    if shared.is_own(address) {
        return Err(Denied::OwnAddress(address));
    }
    // Over TLS the name has to be proven. An address that the operator has written is meant.
    let is_open = grant.scheme == Scheme::Http && class == AddressClass::Public && matches!(host, Host::Name(_));
    if is_open && dial::is_own_interface(ip) { Err(Denied::OwnInterface(ip)) } else { Ok(()) }
}

/// Returns whether the model of `scope` is local by its grants.
fn is_local(policy: &Policy, caller: &Caller, scope: &Scope) -> bool {
    match scope {
        Scope::Model(model) => policy.egress.reach(caller.holder(), model).locality(today()) == Locality::Local,
        Scope::Gateway => false,
    }
}

/// Logs a denial, with the entry that would allow it and whether that would make a local model cloud.
fn warn(caller: &Caller, ask: &Ask<'_>, asked: &Asked<'_>, denied: &Denied, entry: Option<(&Entry, bool)>) {
    tracing::warn!(
        adapter = %caller.id(),
        model = ask.scope.model(),
        request_id = %ask.request_id,
        destination = asked.to_string(),
        reason = denied.code(),
        detail = %denied,
        allow_with = entry.map(|(entry, _)| tracing::field::display(entry)),
        makes_cloud = entry.and_then(|(_, makes_cloud)| makes_cloud.then_some(true)),
        "egress denied",
    );
}
