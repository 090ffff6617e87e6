//! The environment as the binary reads it: the filter of the log, and variables that nothing reads.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use assert_cmd::Command;
use common::{ROUTING, folder, write};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

/// The binary, in an environment that has nothing but the files of `folder`.
fn hauski(folder: &TempDir) -> Command {
    Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), folder))
}

#[test]
fn log_filter_is_an_error_when_it_names_no_level() {
    let folder = folder();
    for command in ["check", "serve"] {
        for (value, cause) in [
            ("inof", "`inof` is not a level, did you mean `info`?"),
            ("info,hauski_server=loud", "`loud` is not a level"),
            ("hauski_server", "`hauski_server` is not a level"),
            ("info,=debug", "`=debug` is not complete"),
            ("[request]=debug", "`[request]` is not a target"),
            ("info,debug", "more than one level"),
        ] {
            hauski(&folder).env("HAUSKI_LOG", value).arg(command).assert().code(64).stdout("").stderr(
                contains(format!("error[bad-setting]: HAUSKI_LOG=`{value}`: {cause}"))
                    .and(contains("; write `level` or `crate=level,…`")),
            );
        }
    }
    for value in ["", "off", "WARN", "info,hauski_runtime::log=off", "hauski_server=debug, warn"] {
        hauski(&folder).env("HAUSKI_LOG", value).arg("check").assert().success();
    }
}

#[test]
fn unknown_variable_is_a_warning_with_a_suggestion() {
    let folder = folder();
    let check = |arguments: &[&str]| {
        let mut check = hauski(&folder);
        check.env("HAUSKI_LGO", "debug").env("HAUSKI_TELEPHONE", "1").arg("check").args(arguments);
        check.assert()
    };
    let misspelled = "the environment variable `HAUSKI_LGO` has no effect: it is unknown; did you mean `HAUSKI_LOG`?";
    let other = "the environment variable `HAUSKI_TELEPHONE` has no effect: it is unknown; unset it";
    let both = || contains(format!("warning: {misspelled}\nwarning: {other}"));
    check(&[]).success().stdout(both().and(contains("ok: ")));
    check(&["--strict"]).code(64).stdout(both()).stderr(contains("error[strict]: 2 warnings"));
    let result: Value = serde_json::from_slice(&check(&["--json"]).success().get_output().stdout).unwrap();
    assert_eq!((&result["ok"], &result["notes"][0]), (&true.into(), &misspelled.into()));
    check(&["--json", "--strict"]).code(64);
}

#[test]
fn unknown_variable_is_no_warning_when_it_is_a_secret() {
    let folder = folder();
    let entry = "{ url: \"https://a.test/\", adapters: [telemetry], methods: [POST], secret: { header: x-key, value: \"${env:HAUSKI_MY_KEY}\" } }";
    write(&folder, "routing.yaml", &ROUTING.replace("[]", &format!("[{entry}]")));
    hauski(&folder)
        .env("HAUSKI_MY_KEY", "a-key-of-mine")
        .args(["check", "--strict"])
        .assert()
        .success()
        .stdout(contains("HAUSKI_MY_KEY").not());
}

/// A misspelled variable is often why the configuration can't be read.
#[test]
fn misspelled_variable_is_named_when_the_configuration_is_wrong() {
    let folder = folder();
    let with = |command: &[&str]| {
        let mut hauski = hauski(&folder);
        hauski.env_remove("HAUSKI_ROUTING").env("HAUSKI_ROUTNG", "routing.yaml").env("HAUSKI_TELEPHONE", "1");
        hauski.args(command).assert().code(64)
    };
    let note = || contains("`HAUSKI_ROUTNG` has no effect: it is unknown; did you mean `HAUSKI_ROUTING`?");
    let error = || contains("error[unreadable-file]");
    with(&["check"]).stdout(note().and(contains("TELEPHONE").not())).stderr(error());
    with(&["serve"]).stderr(note().and(contains(" WARN ")).and(error()));
    let result: Value = serde_json::from_slice(&with(&["check", "--json"]).get_output().stdout).unwrap();
    assert_eq!(result["notes"].as_array().unwrap().len(), 1, "{result}");
}
