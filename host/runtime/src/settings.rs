//! The import `settings`: the model's `config`, read only.

use crate::bindings::hauski::adapter::settings::Host;
use crate::state::State;

impl Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.call.settings.get(&*key).map(|json| json.to_string()))
    }
}
