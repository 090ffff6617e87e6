//! What people read of broken policy files: each of `tests/broken/` with a snapshot beside it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{Diagnostics, Keys, Limits, Models, Routing};

fn diagnostics(file: &str) -> Diagnostics {
    let text = std::fs::read(format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let result = match file {
        "broken/models.yml" => Models::parse(file, &text).map(drop),
        "broken/client_keys.yaml" | "broken/client_keys_syntax.yaml" => Keys::parse(file, &text).map(drop),
        "broken/limits.yaml" => Limits::parse(file, &text).map(drop),
        _ => Routing::parse(file, &text).map(drop),
    };
    result.unwrap_err()
}

macro_rules! broken {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                let found = diagnostics(concat!("broken/", $file));
                insta::assert_snapshot!(stringify!($name), found.render(false));
                assert!(found.errors() > 0);
                assert!(found.iter().all(|d| d.help.is_some()), "each says what to write instead");
                assert!(!found.render(true).contains("1234"), "no secret is shown");
                assert!(!serde_json::to_string(&found).unwrap().contains("1234"), "no secret is shown");
            }
        )*

        #[test]
        fn each_file_has_a_test() {
            let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broken")).unwrap();
            let mut files: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            assert_eq!(files, [$($file),*]);
        }
    };
}

broken! {
    addresses: "addresses.yaml",
    characters: "characters.yaml",
    client_keys: "client_keys.yaml",
    client_keys_syntax: "client_keys_syntax.yaml",
    duplicate_keys: "duplicate_keys.yaml",
    entries: "entries.yaml",
    hosts: "hosts.yaml",
    keys: "keys.yaml",
    limits: "limits.yaml",
    models: "models.yml",
    routes: "routes.yaml",
    secrets: "secrets.yaml",
    syntax: "syntax.yaml",
    types: "types.yaml",
    yaml: "yaml.yaml",
}

#[test]
fn for_programs() {
    insta::assert_snapshot!("for_programs", serde_json::to_string_pretty(&diagnostics("broken/syntax.yaml")).unwrap());
}

#[test]
fn in_colour() {
    let found = diagnostics("broken/syntax.yaml").render(true);
    assert!(found.starts_with("broken/syntax.yaml:6:13 \u{1b}[1;31merror[syntax]\u{1b}[0m"), "{found:?}");
}

#[test]
fn a_file_that_cannot_be_read() {
    let found = Diagnostics::unreadable("policies/routing.yaml", &"permission denied");
    insta::assert_snapshot!("unreadable", found.render(false));
}
