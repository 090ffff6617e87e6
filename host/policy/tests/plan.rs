//! Plans: whom a request to a route is asked of, as tables, and what holds for all of them.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{Ask, Candidate, Fact, Locality, Plan, Reason, Route, Why, plan};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

const LOCAL: Option<Locality> = Some(Locality::Local);
const CLOUD: Option<Locality> = Some(Locality::Cloud);

/// A candidate as a word: its name, then `*weight`, `/order` or `%percent`.
fn candidate(word: &str) -> Candidate {
    let (model, rest) = word.split_at(word.find(['*', '/', '%']).unwrap_or(word.len()));
    let number = |sign: &str| {
        let (at, _) = rest.match_indices(sign).next()?;
        let digits = rest[at + 1..].split(['*', '/', '%']).next()?;
        digits.parse::<u32>().ok()
    };
    Candidate {
        model: model.into(),
        weight: number("*").unwrap_or(1),
        order: number("/").unwrap_or(1),
        canary_percent: number("%").map(|percent| percent.try_into().unwrap()),
        line: 1,
    }
}

fn route(words: &str) -> Route {
    let candidates = words.split_whitespace().map(candidate).collect();
    Route { name: "chat".into(), candidates, cloud_only: false, line: 1 }
}

/// Facts by the first letter of the name: `l` is local, `c` is cloud, `m` is cloud with a local grant as well, `n` has no grant,
/// `u` is unknown. A capital is unavailable at present.
fn facts(route: &Route) -> Vec<Fact<'static>> {
    let fact = |candidate: &Candidate| {
        let letter = candidate.model.chars().next().unwrap();
        let locality = match letter.to_ascii_lowercase() {
            'l' => LOCAL,
            'c' | 'm' => CLOUD,
            'n' => Some(Locality::NoGrant),
            _ => None,
        };
        let has_local = matches!(letter.to_ascii_lowercase(), 'l' | 'm');
        let unavailable = (letter.is_ascii_uppercase()).then_some("down");
        Fact { locality, has_local, canary_only: candidate.model.ends_with("-only"), unavailable }
    };
    route.candidates.iter().map(fact).collect()
}

/// What a request asks for, in words.
fn ask<'k>(words: &str, key: &'k str) -> Ask<'k> {
    let has = |word| words.split_whitespace().any(|one| one == word);
    Ask { key, local_only: has("local-only"), prefer_local: has("prefer"), cloud_fallback: has("fallback") }
}

/// The plan as text: who is asked, then, in brackets, who is held back and why.
fn shown(route: &Route, plan: &Plan) -> String {
    let name = |at: usize| &*route.candidates[at].model;
    let steps: Vec<_> =
        plan.steps.iter().map(|step| format!("{}:{}", name(step.candidate), step.reason.code())).collect();
    let held: Vec<_> = plan.held.iter().map(|held| format!("{}:{}", name(held.candidate), held.why.code())).collect();
    format!("{} [{}]", steps.join(" "), held.join(" ")).trim_start().to_owned()
}

#[track_caller]
fn check(words: &str, asked: &str, expected: &str) {
    let route = route(words);
    let plan = plan(&route, &facts(&route), &ask(asked, "key"));
    assert_eq!(shown(&route, &plan), expected, "{words} ({asked})");
}

#[test]
fn orders() {
    check("l1", "", "l1:weighted []");
    check("l1/2 l2/1 l3/3", "", "l2:weighted l1:fallback l3:fallback []");
    check("l1/5", "", "l1:weighted []");
    check("c1 l1/2", "fallback", "c1:weighted l1:fallback []");
    check("c1 l1/2", "fallback prefer", "l1:fallback c1:after-local []");
    check("c1 c2/2", "prefer", "c1:weighted c2:fallback []");
    check("c2/2 l2/2 c1 l1", "fallback prefer", "l1:weighted l2:fallback c1:after-local c2:after-local []");
}

#[test]
fn what_began_local_stays() {
    check("l1 c1/2", "", "l1:weighted [c1:cloud-fallback]");
    check("l1 c1/2", "fallback", "l1:weighted c1:fallback []");
    check("L1 c1/2", "", "[L1:unavailable c1:cloud-fallback]");
    check("L1 c1/2", "fallback", "c1:fallback [L1:unavailable]");
    check("L1 c1", "prefer", "[L1:unavailable c1:cloud-fallback]");
    check("u1 c1/2", "", "u1:weighted [c1:cloud-fallback]");
    check("U1 c1/2", "", "[U1:unavailable c1:cloud-fallback]");
    check("U1/2 c1", "prefer", "[U1:unavailable c1:cloud-fallback]");
    // What began elsewhere may come here, and go elsewhere again: nothing of it was to stay.
    check("c1 l1/2 c2/3", "", "c1:weighted l1:fallback c2:fallback []");
    check("C1 l1/2 c2/3", "", "l1:fallback c2:fallback [C1:unavailable]");
    check("C1 c2/2", "", "c2:fallback [C1:unavailable]");
}

#[test]
fn what_is_held_to_what_is_local() {
    check("c1 l1/2", "local-only", "l1:fallback [c1:local-only]");
    check("c1 l1/2", "local-only fallback", "l1:fallback [c1:local-only]");
    check("c1 L1/2", "local-only fallback", "[c1:local-only L1:unavailable]");
    // Nothing is tried that the guard would deny.
    check("c1 c2/2", "local-only", "[c1:local-only c2:local-only]");
    check("c1%100 c2/2", "local-only", "[c1:local-only c2:local-only]");
    // A cloud model with a local grant can answer within that grant, where no local model can.
    check("c1 m1/2", "local-only", "m1:fallback [c1:local-only]");
    check("m1 l1/2", "local-only", "l1:fallback [m1:local-only]");
    check("m1 L1/2", "local-only", "[m1:local-only L1:unavailable]");
    check("c1 l%100", "local-only fallback", "l:canary [c1:local-only]");
    check("l1 c%100", "local-only fallback", "l1:weighted [c:local-only]");
}

#[test]
fn canaries() {
    check("l1 l%100", "", "l:canary l1:weighted []");
    check("l1 l%0", "", "l1:weighted [l:not-the-canary]");
    check("l1 l%100 l3%0", "", "l:canary l1:weighted [l3:not-the-canary]");
    check("l1 L%100", "", "l1:weighted [L:unavailable]");
    check("l1 L%0", "", "l1:weighted [L:not-the-canary]");
    // A canary leads no request away that would have stayed,
    check("l1 c%100", "", "l1:weighted [c:cloud-fallback]");
    check("u1 c%100", "", "u1:weighted [c:cloud-fallback]");
    check("l1 c%100", "fallback", "c:canary l1:weighted []");
    check("c1 c%100", "", "c:canary c1:weighted []");
    // nor does its failure.
    check("c1 l%100", "", "l:canary [c1:cloud-fallback]");
    check("c1 U%100", "", "[c1:cloud-fallback U:unavailable]");
    // A model that is only a canary takes part as one, or not at all.
    check("l1 l2-only", "", "l1:weighted [l2-only:canary-only]");
    check("L1-only c1", "", "c1:weighted [L1-only:canary-only]");
    check("l1 l2-only%100", "", "l2-only:canary l1:weighted []");
    check("l1-only", "", "[l1-only:canary-only]");
}

/// Requests at the very ends of the canaries' ranges.
#[test]
fn ends_of_percents() {
    for (key, words, expected) in [
        ("key-1232", "l1 l2%0", 0),
        ("key-1232", "l1 l2%1", 1),
        ("key-1232", "l1 l2%0 l3%1", 2),
        ("key-4695", "l1 l2%5 l3%5", 1),
        ("key-15900", "l1 l2%5 l3%5", 2),
        ("key-2915", "l1 l2%99", 0),
        ("key-2915", "l1 l2%100", 1),
    ] {
        let route = route(words);
        let plan = plan(&route, &facts(&route), &ask("", key));
        assert_eq!(plan.steps[0].candidate, expected, "{words} ({key})");
    }
}

#[test]
fn began_local() {
    for (words, asked, expected) in [
        ("l1 c1/2", "fallback", true),
        ("u1", "", true),
        ("c1 l1/2", "", false),
        ("c1 l1/2", "prefer", true),
        ("c1 l%100", "", true),
        ("l1 c%100", "", true),
        ("c1 c%100", "", false),
        ("l1-only", "", false),
    ] {
        let route = route(words);
        assert_eq!(plan(&route, &facts(&route), &ask(asked, "key")).began_local, expected, "{words} ({asked})");
    }
}

/// A model without a grant may have been local: its grant may be the one that is missing.
#[test]
fn model_without_grant_lets_nothing_leave() {
    check("N1 c1/2", "", "[N1:unavailable c1:cloud-fallback]");
    check("N1 c1/2", "prefer", "[N1:unavailable c1:cloud-fallback]");
    check("c1 N1/2", "", "c1:weighted [N1:unavailable]");
    check("c1 N1/2", "prefer", "[c1:cloud-fallback N1:unavailable]");
    check("N1 c1/2", "fallback", "c1:fallback [N1:unavailable]");
    check("N1 l1/2", "", "l1:fallback [N1:unavailable]");
}

/// A caller that knows too little holds back too much.
#[test]
fn facts_that_are_not_there() {
    let route = route("l1 c1/2");
    let plan = plan(&route, &[], &ask("", "key"));
    assert!(plan.steps.is_empty() && plan.held.iter().all(|held| matches!(held.why, Why::Unavailable(_))));
    assert!(plan.began_local);
}

#[test]
fn in_plain_words() {
    let reasons = [Reason::Canary { percent: 5 }, Reason::Weighted, Reason::Fallback { order: 2 }, Reason::AfterLocal];
    let whys =
        [Why::CanaryOnly, Why::NotTheCanary, Why::Unavailable("down".into()), Why::LocalOnly, Why::CloudFallback];
    let lines = reasons.iter().map(ToString::to_string).chain(whys.iter().map(ToString::to_string));
    insta::assert_snapshot!("in_plain_words", lines.collect::<Vec<_>>().join("\n"));
}

/// Changed only on purpose: each of these requests would be asked of another model than before.
#[test]
fn plans_never_change() {
    let route = route("a*3 b c%20 d%10");
    let facts = vec![Fact { locality: LOCAL, has_local: true, canary_only: false, unavailable: None }; 4];
    let first = |key: usize| {
        let plan = plan(&route, &facts, &ask("", &format!("key-{key}")));
        plan.steps.iter().take(2).map(|step| &*route.candidates[step.candidate].model).collect::<String>()
    };
    assert_eq!((0..16).map(first).collect::<Vec<_>>().join(" "), "ca ab ab ba ba ab ab ca ab ab ab ca db ab ab ba");
}

/// The keys' share of each model's, by what is asked first.
fn shares(route: &Route, keys: usize, first: fn(&Plan) -> Option<usize>) -> BTreeMap<usize, f64> {
    let (facts, mut counts) = (facts(route), BTreeMap::new());
    for key in 0..keys {
        let plan = plan(route, &facts, &ask("", &format!("request {key}")));
        *counts.entry(first(&plan).unwrap()).or_insert(0.0) += 1.0 / keys as f64;
    }
    counts
}

const KEYS: usize = 20_000;
/// Five standard deviations of a half, over [`KEYS`].
const NEAR: f64 = 0.018;

fn first_of_all(plan: &Plan) -> Option<usize> {
    plan.steps.first().map(|step| step.candidate)
}

fn first_by_weight(plan: &Plan) -> Option<usize> {
    plan.steps.iter().find(|step| step.reason == Reason::Weighted).map(|step| step.candidate)
}

/// A route of candidates of any kind, with distinct names.
fn any_route() -> impl Strategy<Value = Route> {
    let kind = select(&["l", "c", "m", "u", "L", "C", "M", "U", "N"][..]);
    let one = (kind, 1..=1000_u32, 1..4_u32, prop_oneof![2 => Just(None), 1 => (0..=20_u8).prop_map(Some)], 0..8_u8);
    (prop::collection::vec(one, 1..6), "[a-z]{1,3}").prop_map(|(all, name)| {
        let candidates = all.into_iter().enumerate().map(|(at, (kind, weight, order, canary_percent, only))| {
            let model = format!("{kind}{at}{}", if only == 0 { "-only" } else { "" });
            Candidate { model: model.into(), weight, order, canary_percent, line: 1 }
        });
        Route { name: name.into(), candidates: candidates.collect(), cloud_only: false, line: 1 }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_hold(route in any_route(), key in ".{0,8}", local_only: bool, prefer_local: bool, cloud_fallback: bool) {
        let (facts, ask) = (facts(&route), Ask { key: &key, local_only, prefer_local, cloud_fallback });
        let made = plan(&route, &facts, &ask);
        prop_assert_eq!(&made, &plan(&route, &facts, &ask), "the same key gets the same plan");

        let mut named: Vec<_> = made.steps.iter().map(|step| step.candidate).collect();
        let asked = named.clone();
        named.extend(made.held.iter().map(|held| held.candidate));
        named.sort_unstable();
        prop_assert_eq!(named, (0..route.candidates.len()).collect::<Vec<_>>(), "each is named once");
        prop_assert!(made.held.is_sorted_by_key(|held| held.candidate));

        let is_cloud = |at: &usize| facts[*at].locality == CLOUD;
        if made.began_local && !cloud_fallback {
            prop_assert!(!asked.iter().any(is_cloud), "what began local stays");
        }
        if local_only && asked.iter().any(|at| !is_cloud(at)) {
            prop_assert!(!asked.iter().any(is_cloud), "no way is tried that is denied");
        }
        if local_only {
            prop_assert!(asked.iter().all(|at| !is_cloud(at) || facts[*at].has_local), "nothing is tried that is denied");
        }
        if asked.first().is_some_and(|at| !is_cloud(at)) && !made.began_local {
            // Only where those before it could not be asked.
            let down = |at: usize| facts[at].unavailable.is_some() && facts[at].locality == CLOUD;
            prop_assert!(made.held.iter().any(|held| down(held.candidate)), "{made:?}");
        }
        prop_assert!(asked.iter().all(|at| facts[*at].unavailable.is_none()));
        let others: Vec<_> =
            made.steps.iter().filter(|step| !matches!(step.reason, Reason::Canary { .. })).map(|s| s.candidate).collect();
        prop_assert!(others.len() + 1 >= asked.len(), "one canary at most");
        let rank = |at: &usize| ((prefer_local || local_only) && is_cloud(at), route.candidates[*at].order);
        prop_assert!(others.is_sorted_by_key(rank));
        prop_assert!(others.iter().all(|at| !facts[*at].canary_only && route.candidates[*at].canary_percent.is_none()));
    }

    /// That a candidate is down, or gone from the file, changes nothing between the others.
    #[test]
    fn only_the_own_requests_move(route in any_route(), gone in 0..5_usize, key in "[a-z0-9]{1,8}") {
        let gone = gone % route.candidates.len();
        let all = vec![Fact { locality: LOCAL, has_local: true, canary_only: false, unavailable: None }; route.candidates.len()];
        let asked = |route: &Route, facts: &[Fact<'_>]| -> Vec<Box<str>> {
            let made = plan(route, facts, &ask("", &key));
            made.steps.iter().map(|step| route.candidates[step.candidate].model.clone()).collect()
        };
        let without: Vec<_> = asked(&route, &all).into_iter().filter(|model| *model != route.candidates[gone].model).collect();
        let mut down = all.clone();
        down[gone].unavailable = Some("down");
        prop_assert_eq!(&asked(&route, &down), &without);
        // Canaries stand side by side: one that is gone moves the next.
        if route.candidates[gone].canary_percent.is_none() {
            let mut shorter = route.clone();
            shorter.candidates.remove(gone);
            prop_assert_eq!(asked(&shorter, &all[1..]), without);
        }
    }
}

proptest! {
    // Each case draws for 20,000 keys.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(1..=1000_u32, 1..5)) {
        let words: Vec<_> = weights.iter().enumerate().map(|(at, weight)| format!("l{at}*{weight}")).collect();
        let found = shares(&route(&words.join(" ")), KEYS, first_of_all);
        let sum = f64::from(weights.iter().sum::<u32>());
        for (at, weight) in weights.iter().enumerate() {
            let share = found.get(&at).copied().unwrap_or_default();
            prop_assert!((share - f64::from(*weight) / sum).abs() < NEAR, "{weights:?} {found:?}");
        }
    }

    #[test]
    fn canaries_get_their_percents(percents in prop::collection::vec(0..=30_u8, 1..4)) {
        let words: String = percents.iter().enumerate().map(|(at, percent)| format!(" l{at}%{percent}")).collect();
        let route = route(&format!("l-a l-b*3{words}"));
        let found = shares(&route, KEYS, first_of_all);
        for (at, percent) in percents.iter().enumerate() {
            let share = found.get(&(at + 2)).copied().unwrap_or_default();
            prop_assert!((share - f64::from(*percent) / 100.0).abs() < NEAR, "{percents:?} {found:?}");
        }
        // Who falls to a canary is drawn apart from the weights, which hold behind it as well.
        let behind = shares(&route, KEYS, first_by_weight);
        prop_assert!((behind[&0] - 0.25).abs() < NEAR, "{behind:?}");
    }

    #[test]
    fn raising_the_last_percent_moves_only_what_it_gains(before in 0..30_u8, more in 0..30_u8) {
        let hit = |percent| -> BTreeSet<usize> {
            let route = route(&format!("l1 l2%{percent}"));
            let made = |key: &usize| plan(&route, &facts(&route), &ask("", &format!("{key}")));
            (0..2000).filter(|key| made(key).steps[0].candidate == 1).collect()
        };
        prop_assert!(hit(before + more).is_superset(&hit(before)));
    }
}
