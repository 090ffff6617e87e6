//! B: the addresses of this machine that are of the internet. A name for the internet does not lead to them in the clear.

use crate::upstream::{HELLO, Upstream};
use crate::world::World;
use std::process::Command;

const INSIDE: &str = "HAUSKI_TEST_OWN_INTERFACE";

/// Public addresses, which only the namespace has.
const OWN: [&str; 2] = ["9.9.9.9", "2600::9"];

/// L10: runs again in a network namespace of its own, where this machine has addresses of the internet.
#[tokio::test]
async fn b15_names_of_the_internet_do_not_lead_to_this_machine() {
    const TEST: &str = "b_machine::b15_names_of_the_internet_do_not_lead_to_this_machine";
    if std::env::var_os(INSIDE).is_some() {
        return inside().await;
    }
    let setup = OWN.map(|address| format!("ip address add {address} dev lo nodad")).join(" && ");
    let this = std::env::current_exe().unwrap();
    let again = format!("ip link set lo up && {setup} && echo ready && exec '{}' --exact {TEST}", this.display());
    let ways = [&["unshare", "--net"][..], &["unshare", "--user", "--map-root-user", "--net"]];
    for way in ways {
        let mut command = Command::new(way[0]);
        let output = command.args(&way[1..]).args(["sh", "-c", &again]).env(INSIDE, "1").output();
        let Ok(output) = output else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.starts_with("ready") {
            return assert!(text.contains("test result: ok. 1 passed"), "{text}");
        }
    }
    let on_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!on_ci, "no network namespace here: that takes `unshare`, `ip`, and to be root or to have user namespaces");
    println!("SKIPPED: no network namespace here");
}

async fn inside() {
    for own in OWN {
        let literal = if own.contains(':') { format!("[{own}]") } else { own.to_owned() };
        let upstream = Upstream::start_on(&format!("{literal}:0"), |conn, _| {
            while conn.request().is_some() {
                conn.write(HELLO);
            }
        });
        let port = upstream.port();
        let world = World::new(&[
            &format!(r#"{{ url: "http://name.test:{port}/", adapters: [a], methods: [GET], network: public }}"#),
            &format!(r#"{{ url: "https://name.test:{port}/", adapters: [a], methods: [GET], network: public }}"#),
            &format!(r#"{{ url: "http://{literal}:{port}/", adapters: [a], methods: [GET] }}"#),
        ]);
        let caller = world.caller("a");
        world.resolver.set("name.test", &[own]);
        let get = async |url: &str| world.get(&caller, &format!("GET {url}")).await.map_err(|error| error.code());
        assert_eq!(get(&format!("http://name.test:{port}/")).await, Err("own-interface"), "{own}");
        assert_eq!(upstream.connections(), 0);
        // The name would have to be proven.
        assert!(world.permit(&caller, &format!("GET https://name.test:{port}/")).await.is_ok(), "{own}");
        // The operator has written the address.
        assert_eq!(get(&format!("http://{literal}:{port}/")).await, Ok("hello".to_owned()), "{own}");
        // One that is another machine's is dialled.
        world.resolver.set("name.test", &[if own.contains(':') { "2600::8" } else { "9.9.9.8" }]);
        assert_eq!(get(&format!("http://name.test:{port}/")).await, Err("connect"), "{own}");
    }
}
