//! What is set holds, what is not has its default, and what can't be used is an error.

use super::*;
use std::os::unix::ffi::OsStringExt;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_defaults_hold_where_nothing_is_set() {
    let settings = Settings::read(&env(&[(MODELS, "")])).unwrap();
    assert_eq!(settings.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.models, PathBuf::from("policies/models.yml"));
    assert_eq!(settings.ledger, Some(PathBuf::from("ledger/egress.jsonl")));
    assert!(!settings.expose_config);
}

#[test]
fn ledger_and_cache_can_be_turned_off() {
    assert_eq!((ledger(&env(&[(LEDGER, "off")])), cache(&env(&[(CACHE, "off")]))), (None, None));
    assert_eq!(ledger(&env(&[(LEDGER, "./off")])), Some(PathBuf::from("./off")));
}

#[test]
fn what_is_set_holds() {
    let settings = Settings::read(&env(&[(BIND, "[::1]:0"), (EXPOSE_CONFIG, "true"), (ADAPTERS, "/a")])).unwrap();
    assert_eq!((settings.bind.to_string().as_str(), settings.expose_config), ("[::1]:0", true));
    assert_eq!(settings.adapters, PathBuf::from("/a"));
}

/// The keys' text is not shown, whatever is wrong with it.
#[test]
fn keys_that_are_not_utf_8_are_refused() {
    struct Bytes;
    impl Environment for Bytes {
        fn var(&self, name: &str) -> Option<OsString> {
            (name == KEYS_TEXT).then(|| OsString::from_vec(b"abcdef\xff".to_vec()))
        }

        fn names(&self) -> Vec<OsString> {
            vec![KEYS_TEXT.into()]
        }
    }
    let error = keys(&Bytes).unwrap_err();
    assert_eq!(error, SettingError::KeysText);
    assert!(!error.to_string().contains("abcdef"), "{error}");
}

/// An environment in which every variable is the one byte 0xff.
struct NotUtf8;

impl Environment for NotUtf8 {
    fn var(&self, _: &str) -> Option<OsString> {
        Some(OsString::from_vec(vec![0xff]))
    }

    fn names(&self) -> Vec<OsString> {
        Vec::new()
    }
}

#[test]
fn what_is_not_utf_8_is_an_error_and_not_unset() {
    let errors = Settings::read(&NotUtf8).unwrap_err();
    let texts: Vec<_> = errors.iter().chain(&log(&NotUtf8).err()).map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            r"HAUSKI_BIND=`\xff`, which is not UTF-8: write an IP address and a port instead, or unset it for the default `127.0.0.1:8080`",
            r"HAUSKI_EXPOSE_CONFIG=`\xff`, which is not UTF-8: write `true` or `false` instead, or unset it for the default `false`",
            "`HAUSKI_KEYS` and `HAUSKI_KEYS_TEXT` are both set: unset one of them",
            "`HAUSKI_OTLP_ENDPOINT` is no URL of a collector: write one without user, query and fragment, such as `http://127.0.0.1:4318`, or unset it",
            r"HAUSKI_LOG=`\xff`, which is not UTF-8: write `level` or `crate=level,…` instead, or unset it for the default `info`",
        ]
    );
}

#[test]
fn paths_need_not_be_utf_8() {
    assert_eq!(path(&NotUtf8, MODELS).into_os_string(), OsString::from_vec(vec![0xff]));
}

#[test]
fn keys_stand_in_one_place() {
    let named = |path: &str, named| Ok(KeysFrom::File { path: path.into(), named });
    assert_eq!(keys(&env(&[])), named("policies/keys.yaml", false));
    assert_eq!(keys(&env(&[(KEYS, ""), (KEYS_TEXT, "")])), named("policies/keys.yaml", false));
    assert_eq!(keys(&env(&[(KEYS, "policies/keys.yaml")])), named("policies/keys.yaml", true));
    let text = keys(&env(&[(KEYS_TEXT, "keys: [secret]")])).unwrap();
    assert_eq!((&text, format!("{text:?}").as_str()), (&KeysFrom::Text("keys: [secret]".into()), "Text(***)"));
    assert_eq!(keys(&env(&[(KEYS, "x"), (KEYS_TEXT, "y")])), Err(SettingError::Both(KEYS, KEYS_TEXT)));
}

#[test]
fn certificate_and_key_go_together() {
    let both = Settings::read(&env(&[(TLS_CERT, "a.pem"), (TLS_KEY, "b.pem")])).unwrap().tls.unwrap();
    assert_eq!((both.cert, both.key), ("a.pem".into(), "b.pem".into()));
    assert_eq!(Settings::read(&env(&[(TLS_CERT, "")])).unwrap().tls, None);
    for (set, missing) in [(TLS_CERT, TLS_KEY), (TLS_KEY, TLS_CERT)] {
        let errors = Settings::read(&env(&[(set, "a.pem")])).unwrap_err();
        assert_eq!(errors, [SettingError::Alone { set, missing }]);
    }
}

#[test]
fn all_errors_come_at_once() {
    let errors = Settings::read(&env(&[(BIND, "localhost"), (EXPOSE_CONFIG, "yes")])).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "HAUSKI_BIND=`localhost`: write an IP address and a port instead, or unset it for the default `127.0.0.1:8080`",
            "HAUSKI_EXPOSE_CONFIG=`yes`: write `true` or `false` instead, or unset it for the default `false`",
        ]
    );
}
