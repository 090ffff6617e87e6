//! Properties of `adapters.lock`.

use hauski_policy::{Lock, Parsed};

/// Reads a lock, prints it, and cuts it off at each byte.
pub(crate) fn fuzz_lock(data: &[u8]) {
    let whole = match Lock::parse("adapters.lock", data) {
        Ok(Parsed { value, .. }) => value,
        Err(found) => {
            assert!(found.errors() > 0 && found.render(false).len() < 1 << 20);
            return;
        }
    };
    let printed = whole.to_yaml();
    match Lock::parse("adapters.lock", printed.as_bytes()) {
        Ok(Parsed { value, warnings }) => {
            assert_eq!((&value, warnings.iter().count()), (&whole, 0), "{printed}");
            assert_eq!(value.to_yaml(), printed);
        }
        Err(errors) => panic!("{printed}\n{}", errors.render(false)),
    }
    assert_eq!(whole.drift(&whole), []);
    check_cuts(&whole, printed.as_bytes());
    check_cuts(&whole, data);
}

/// Checks that no beginning of `text` approves bytes under a name that `whole` does not.
fn check_cuts(whole: &Lock, text: &[u8]) {
    for cut in 0..text.len() {
        let Ok(part) = Lock::parse("adapters.lock", &text[..cut]) else { continue };
        for (id, locked) in &part.value.adapters {
            let shown = || format!("cut off at {cut}: {}", text.escape_ascii());
            let Some(of_whole) = whole.adapters.get(id) else { panic!("{id} is only in a part, {}", shown()) };
            assert_eq!(locked.digest, of_whole.digest, "{id}, {}", shown());
        }
    }
}
