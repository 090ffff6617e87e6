//! Odd and hostile adapters, each a program of its own in `examples/`.
//!
//! This library has what they share, and the list of them: a test suite that goes through the list by macro cannot forget one.

/// Calls a macro with the name of each guest, as in wasmtime's test programs.
///
/// ```
/// macro_rules! name {
///     ($guest:ident) => {
///         const _: &str = stringify!($guest);
///     };
/// }
/// hauski_test_guests::for_each_guest!(name);
/// ```
#[macro_export]
macro_rules! for_each_guest {
    ($each:ident) => {
        $each!(spins);
        $each!(allocates);
        $each!(sleeps);
        $each!(traps);
        $each!(describe_traps);
        $each!(describe_sleeps);
        $each!(floods_log);
        $each!(floods_handles);
        $each!(floods_bodies);
        $each!(floods_uploads);
        $each!(counts);
        $each!(computes);
        $each!(streams_forever);
        $each!(ends_badly);
        $each!(gives_nothing);
        $each!(speaks_nonsense);
        $each!(long_answer);
        $each!(quotes_prompt);
        $each!(embeds_only);
        $each!(probe);
        $each!(probe_wasi_http);
        $each!(imports_sockets);
        $each!(imports_filesystem);
        $each!(other_world);
    };
}

/// The head of a chat guest: a type of this name that is exported, says what it is and lists itself as its only model.
#[macro_export]
macro_rules! guest {
    ($name:ident, $summary:literal) => {
        struct $name;

        hauski_adapter_sdk::export!($name: chat);

        impl hauski_adapter_sdk::Adapter for $name {
            fn describe() -> hauski_adapter_sdk::Description {
                hauski_adapter_sdk::Description::new(stringify!($name), env!("CARGO_PKG_VERSION"), $summary)
            }

            fn models() -> Result<Vec<hauski_adapter_sdk::Json>, hauski_adapter_sdk::Error> {
                Ok(vec![concat!(r#"{"id":""#, stringify!($name), r#"","object":"model"}"#).into()])
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_complete() {
        let mut listed = BTreeSet::new();
        macro_rules! name {
            ($guest:ident) => {
                listed.insert(stringify!($guest).to_owned());
            };
        }
        for_each_guest!(name);
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
        let names = files.filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".rs").map(str::to_owned));
        assert_eq!(listed, names.collect());
    }
}
