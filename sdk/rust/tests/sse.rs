//! The reader of server-sent events holds for what the fuzzer has found worth keeping.

mod reference;

#[test]
fn events_hold_for_the_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/sse");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(files.len() >= 5);
    files.into_iter().for_each(|file| reference::fuzz_sse(&std::fs::read(file.unwrap().path()).unwrap()));
}
