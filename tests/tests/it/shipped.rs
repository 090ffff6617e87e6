//! The examples that are commented out in the shipped policies: uncommented, they work as they stand, one by one and together.

use hauski_server::View;
use hauski_tests::{Builder, TestHost};
use std::fs;
use std::path::Path;

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(name)).unwrap()
}

/// The examples of a file: the blocks of comments in which a list item stands, without the comment signs.
fn examples(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  # ").or((line == "  #").then_some("")));
    let mut examples: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in lines {
        if line.starts_with("- ") {
            examples.push(String::new());
            is_inside = true;
        } else if !line.starts_with(' ') {
            is_inside = false;
        }
        if is_inside && let Some(example) = examples.last_mut() {
            example.push_str(&format!("    {line}\n"));
        }
    }
    examples
}

fn entries() -> Vec<String> {
    let text = shipped("routing.yaml");
    examples(&text[..text.find("# Stands after `egress`").unwrap()])
}

/// The routes of the shipped `routing.yaml`, uncommented.
fn routes() -> String {
    let text = shipped("routing.yaml");
    let start = text.find("  # routes:\n").unwrap();
    let lines = text[start..].lines().map_while(|line| line.strip_prefix("  # "));
    lines.map(|line| format!("  {line}\n")).collect()
}

fn models() -> Vec<String> {
    let text = shipped("models.yml");
    let mut models = examples(&text);
    models.push("    - { id: echo, adapter: echo }\n".to_owned());
    models
}

/// A gateway with these entries, models and routes, whose adapters are those that are shipped.
fn gateway(entries: &str, models: &str, routes: &str) -> Builder {
    TestHost::builder()
        .adapter("echo")
        .adapter("openai-compatible")
        .adapter("anthropic")
        .env("OPENAI_API_KEY", "sk-openai-0123")
        .env("ANTHROPIC_API_KEY", "sk-anthropic-0123")
        .files(
            &format!(
                "egress:\n  default: deny\n  allow:\n{entries}routing:\n  prefer_local: true\n{routes}  cloud_fallback: {{ enabled: false }}\n"
            ),
            &format!("models:\n{models}"),
        )
}

/// The public names that are offered, with their locality.
fn offered(view: &View) -> Vec<String> {
    view.offered().map(|(name, locality)| format!("{name}: {}", locality.as_str())).collect()
}

#[test]
fn shipped_examples_work_together() {
    let (prepared, _folder) = gateway(&entries().concat(), &models().concat(), &routes()).prepare();
    let (gateway, warnings) = prepared.unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    let review = gateway.review();
    assert!(review.iter().all(hauski_policy::Diagnostics::is_empty), "{review:?}");
    assert_eq!(
        offered(&gateway.view()),
        ["claude: cloud", "echo: local", "gpt-4o-mini: cloud", "gpu: local", "llama3: local", "llama3-b: local"]
    );
    let expected = ["llama3", "llama3-b"];
    let explained = gateway.explain("chat", "a-key", false).unwrap();
    let asked: Vec<_> = explained.asked.iter().map(|entry| &*entry.model).filter(|model| *model != "gpu").collect();
    assert!(explained.began_local && asked.iter().all(|model| expected.contains(model)), "{explained:?}");
}

/// Each model that is shipped as an example is offered with the one entry that is for it, and not without.
#[test]
fn each_shipped_example_works_alone() {
    let (entries, models) = (entries(), models());
    assert_eq!((entries.len(), models.len()), (6, 7), "{entries:#?} {models:#?}");
    for (model, entry, locality) in [
        ("llama3", "127.0.0.1:11434", "local"),
        ("llama3-b", "127.0.0.1:8081", "local"),
        ("gpt-4o-mini", "api.openai.com", "cloud"),
        ("claude", "api.anthropic.com", "cloud"),
        ("gpu", "gpu.example.com", "local"),
    ] {
        let model_text = models.iter().find(|text| text.contains(&format!("- id: {model}\n"))).unwrap();
        let entry = entries.iter().find(|text| text.contains(entry)).unwrap();
        let (prepared, _folder) = gateway(entry, model_text, "").prepare();
        let (gateway, _) = prepared.unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(offered(&gateway.view()), [format!("{model}: {locality}")]);
        assert!(gateway.review().iter().all(hauski_policy::Diagnostics::is_empty), "{model}: {:?}", gateway.review());

        let other = entries.iter().find(|other| *other != entry).unwrap();
        let (prepared, _folder) = gateway_without(other, model_text).prepare();
        let (gateway, _) = prepared.unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(offered(&gateway.view()), Vec::<String>::new(), "{model} with an entry for another");
        assert!(gateway.review().models.errors() > 0, "{model}");
    }
}

fn gateway_without(entry: &str, model: &str) -> Builder {
    gateway(entry, model, "")
}
