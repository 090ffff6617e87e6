//! A second layer below the guard: the kernel lets this process open TCP connections to the granted ports only.
//!
//! In go ports; out comes what is enforced and, in plain words, what is not. Guests make no system calls, so this is against
//! mistakes of the host itself. The means is Landlock (Linux 6.7 and newer). It can't be undone, and holds for the thread that
//! asks and for those which that thread starts afterwards: ask in the main thread, before there is another.

use hauski_policy::{Grant, Host, HostPattern};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The port of DNS.
const DNS: u16 = 53;

/// What Landlock leaves open where it is enforced, whatever its version.
const ALWAYS_OPEN: [&str; 5] = [
    "the addresses behind these ports",
    "UDP, which DNS goes by, SCTP, MPTCP and raw sockets",
    "TCP Fast Open, and listening without a bind",
    "unix sockets by path",
    "what changes: a port that the policy grants later can be reached after a restart only",
];

static IN_FORCE: OnceLock<Enforced> = OnceLock::new();

/// The TCP ports that stay open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Those that may be connected to, at any address.
    pub connect: BTreeSet<u16>,
    /// Those that may be bound. 0 is not all of them: it is asking the system for a free one.
    pub bind: BTreeSet<u16>,
}

impl Ports {
    /// What requests under `grants` need, and listening on `listen`.
    ///
    /// Where a grant's host is a name this includes the port of DNS: the system's resolver asks again over TCP if an answer is too
    /// long for UDP.
    #[must_use]
    pub fn of(grants: &[Arc<Grant>], listen: u16) -> Self {
        let mut connect: BTreeSet<_> = grants.iter().map(|grant| grant.port).collect();
        if grants.iter().any(|grant| !matches!(grant.host, HostPattern::Exact(Host::Address(_)))) {
            connect.insert(DNS);
        }
        Self { connect, bind: BTreeSet::from([listen]) }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The kernel can lock, and did not.
#[derive(Debug, thiserror::Error)]
#[error("the kernel has Landlock, but did not lock this process: {0}; start without the lock if that is good enough")]
pub struct OsLockError(BoxError);

/// What holds after [`restrict`]. Its text says it in a few sentences, with what does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    kernel: Kernel,
    ports: Ports,
    /// How many threads ran already, if that is known.
    others: Option<usize>,
}

/// What the kernel can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(target_os = "linux", test)), expect(dead_code, reason = "only Linux has Landlock"))]
enum Kernel {
    /// Nothing, for this reason.
    Nothing(String),
    /// TCP's ports; this is Landlock's version.
    Ports(u32),
    /// Abstract unix sockets and signals as well.
    PortsAndScopes(u32),
}

impl Enforced {
    /// The ports to which this process is held; `None` where the kernel can't do that.
    #[must_use]
    pub fn ports(&self) -> Option<&Ports> {
        match self.kernel {
            Kernel::Nothing(_) => None,
            Kernel::Ports(_) | Kernel::PortsAndScopes(_) => Some(&self.ports),
        }
    }

    /// The ports that `grants` need and that can't be connected to any more, since they were locked out: only a restart opens them.
    #[must_use]
    pub fn closed_to(&self, grants: &[Arc<Grant>]) -> BTreeSet<u16> {
        let open = |ports: &Ports| &Ports::of(grants, 0).connect - &ports.connect;
        self.ports().map(open).unwrap_or_default()
    }

    /// Whether all of this process is held to its ports.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.ports().is_some() && self.others == Some(0)
    }

    /// What is not enforced, one thing each; where it is nothing at all, why.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let scopes = match &self.kernel {
            Kernel::Nothing(reason) => return vec![reason.clone()],
            Kernel::Ports(_) => Some("abstract unix sockets and signals".to_owned()),
            Kernel::PortsAndScopes(_) => None,
        };
        let threads = match self.others {
            Some(0) => None,
            Some(others) => Some(format!("threads that ran before ({others}), and those which they start")),
            None => Some("threads that ran before, if there were any: /proc can't be read".to_owned()),
        };
        threads.into_iter().chain(ALWAYS_OPEN.map(str::to_owned)).chain(scopes).collect()
    }
}

impl fmt::Display for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, scopes) = match &self.kernel {
            Kernel::Nothing(reason) => {
                return write!(f, "the system enforces nothing: {reason}; the guard alone decides what is reached");
            }
            Kernel::Ports(version) => (version, ""),
            Kernel::PortsAndScopes(version) => (version, "; abstract unix sockets and signals end within it"),
        };
        let (connect, bind) = (list(&self.ports.connect), list(&self.ports.bind));
        write!(f, "Landlock (ABI {version}) lets this process connect by TCP to {connect} and bind {bind}{scopes}. ")?;
        write!(f, "Not restricted: {}", self.gaps().join("; "))
    }
}

/// Ports for people.
fn list(ports: &BTreeSet<u16>) -> String {
    let name = |port: &u16| if *port == 0 { "0 (a free one)".to_owned() } else { port.to_string() };
    match ports.iter().map(name).collect::<Vec<_>>().as_slice() {
        [] => "no port".to_owned(),
        [one] => format!("port {one} only"),
        many => format!("the ports {} only", many.join(", ")),
    }
}

/// Holds the calling thread, and those which it starts from now on, to `ports`. On a system that can't, nothing is enforced, and
/// the result says so.
///
/// # Errors
/// If the system can and did not.
pub fn restrict(ports: Ports) -> Result<Enforced, OsLockError> {
    let others = other_threads();
    let kernel = lock(&ports).map_err(OsLockError)?;
    let enforced = Enforced { kernel, ports, others };
    // The first one is kept: a second can only be narrower.
    let _ = IN_FORCE.set(enforced.clone());
    Ok(enforced)
}

/// What the first [`restrict`] of this process said; `None` where nobody has asked for a lock.
#[must_use]
pub fn in_force() -> Option<&'static Enforced> {
    IN_FORCE.get()
}

/// The threads of this process besides the calling one.
fn other_threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count().saturating_sub(1))
}

#[cfg(target_os = "linux")]
fn lock(ports: &Ports) -> Result<Kernel, BoxError> {
    use landlock::{ABI, Access, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope};
    // Named versions, and not all that the crate knows: nothing is restricted that was not tried.
    let locked = Ruleset::default()
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(rules(&ports.connect, AccessNet::ConnectTcp))?
        .add_rules(rules(&ports.bind, AccessNet::BindTcp))?
        .restrict_self()?;
    let version = version(locked.landlock);
    Ok(match (locked.ruleset, version) {
        (RulesetStatus::FullyEnforced, Ok(version)) => Kernel::PortsAndScopes(version),
        // The scopes are the newer part.
        (RulesetStatus::PartiallyEnforced, Ok(version)) => Kernel::Ports(version),
        (RulesetStatus::NotEnforced, Ok(version)) => Kernel::Nothing(format!(
            "this kernel's Landlock (ABI {version}) has no rules for ports, which need Linux 6.7 (ABI 4)"
        )),
        (_, Err(reason)) => Kernel::Nothing(reason.to_owned()),
    })
}

#[cfg(target_os = "linux")]
fn rules(
    ports: &BTreeSet<u16>,
    access: landlock::AccessNet,
) -> impl Iterator<Item = Result<landlock::NetPort, landlock::RulesetError>> {
    ports.iter().map(move |port| Ok(landlock::NetPort::new(*port, access)))
}

/// The version of Landlock, or why there is none.
#[cfg(target_os = "linux")]
fn version(status: landlock::LandlockStatus) -> Result<u32, &'static str> {
    use landlock::LandlockStatus::{Available, NotEnabled, NotImplemented};
    match status {
        Available { effective_abi, kernel_abi } => {
            Ok(kernel_abi.and_then(|version| version.try_into().ok()).unwrap_or(effective_abi as u32))
        }
        NotEnabled => Err("this kernel was started without Landlock (its parameter `lsm=` does not name `landlock`)"),
        NotImplemented => Err("this kernel was built without Landlock, or a filter of system calls hides it"),
    }
}

#[cfg(not(target_os = "linux"))]
fn lock(_: &Ports) -> Result<Kernel, BoxError> {
    Ok(Kernel::Nothing("this is not Linux, and Landlock is Linux's".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_policy::Routing;

    fn grants(allow: &str) -> Vec<Arc<Grant>> {
        let text = format!(
            "egress: {{ default: deny, allow: [{allow}] }}\n\
             routing: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
        );
        Routing::parse("routing.yaml", text.as_bytes()).unwrap().value.egress.grants
    }

    #[track_caller]
    fn check(allow: &str, connect: &[u16]) {
        let ports = Ports::of(&grants(allow), 8080);
        assert_eq!(ports.connect.iter().copied().collect::<Vec<_>>(), connect, "{allow}");
        assert_eq!(ports.bind, BTreeSet::from([8080]));
    }

    #[test]
    fn the_ports_are_those_of_the_grants() {
        check("", &[]);
        check("\"http://127.0.0.1:11434/api/\"", &[11434]);
        check("\"http://127.0.0.1/\", \"https://[::1]\", \"http://127.0.0.1/v1\"", &[80, 443]);
    }

    #[test]
    fn names_need_dns() {
        check("\"https://api.matrix.example\"", &[53, 443]);
        check("\"http://127.0.0.1:11434\", \"https://*.matrix.example\"", &[53, 443, 11434]);
    }

    fn enforced(kernel: Kernel, connect: &[u16], others: Option<usize>) -> Enforced {
        let ports = Ports { connect: connect.iter().copied().collect(), bind: BTreeSet::from([0]) };
        Enforced { kernel, ports, others }
    }

    #[test]
    fn it_says_what_holds_and_what_does_not() {
        let whole = enforced(Kernel::PortsAndScopes(7), &[53, 443], Some(0));
        assert!(whole.holds());
        assert_eq!(
            whole.to_string(),
            "Landlock (ABI 7) lets this process connect by TCP to the ports 53, 443 only and bind port 0 (a free one) only; \
             abstract unix sockets and signals end within it. Not restricted: the addresses behind these ports; UDP, which \
             DNS goes by, SCTP, MPTCP and raw sockets; TCP Fast Open, and listening without a bind; unix sockets by path; \
             what changes: a port that the policy grants later can be reached after a restart only"
        );
        let older = enforced(Kernel::Ports(4), &[], Some(0));
        assert!(older.holds() && older.to_string().contains("to no port and bind"), "{older}");
        assert!(older.to_string().ends_with("; abstract unix sockets and signals"), "{older}");
    }

    #[test]
    fn what_a_later_policy_needs_besides() {
        let later = grants("\"https://api.matrix.example\", \"http://127.0.0.1:11434\"");
        let check = |kernel, expected: &[u16]| {
            let closed = enforced(kernel, &[443], Some(0)).closed_to(&later);
            assert_eq!(closed.into_iter().collect::<Vec<_>>(), expected);
        };
        check(Kernel::Ports(4), &[53, 11434]);
        check(Kernel::Nothing(String::new()), &[]);
    }

    #[test]
    fn nothing_is_said_plainly() {
        let nothing = enforced(Kernel::Nothing("there is a reason".to_owned()), &[443], Some(0));
        assert!(!nothing.holds() && nothing.ports().is_none());
        assert_eq!(
            nothing.to_string(),
            "the system enforces nothing: there is a reason; the guard alone decides what is reached"
        );
    }

    #[test]
    fn threads_that_ran_before_are_a_gap() {
        for (others, gap) in [(Some(2), "threads that ran before (2), and"), (None, "if there were any: /proc")] {
            let partial = enforced(Kernel::PortsAndScopes(7), &[443], others);
            assert!(!partial.holds() && partial.to_string().contains(gap), "{partial}");
        }
    }
}
