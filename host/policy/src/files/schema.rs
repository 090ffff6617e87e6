//! The JSON Schemas of the policy files, for editors: made from the raw forms, so that they say what is read.

use super::{keys, limits, lock, models, routing};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

/// The files' names in `policies/` and their texts.
#[must_use]
pub fn schemas() -> [(&'static str, String); 5] {
    [
        ("routing.schema.json", text::<routing::RawRouting>()),
        ("limits.schema.json", text::<limits::RawLimits>()),
        ("models.schema.json", text::<models::RawModels>()),
        ("keys.schema.json", text::<keys::RawKeys>()),
        ("lock.schema.json", text::<lock::RawLock>()),
    ]
}

fn text<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.to_value())
}
