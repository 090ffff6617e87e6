//! What an adapter's author writes: `Adapter`, and `Chat`, `Embeddings` or both.

use crate::{ChatRequest, EmbeddingRequest, Error, Json};

/// What each adapter tells of itself.
///
/// Functions rather than methods: an adapter lives for one request, and nothing that it keeps outlives that.
pub trait Adapter {
    /// Tells what the adapter is. Runs when it is loaded, where nothing can be reached and no setting is given.
    fn describe() -> Description;

    /// Lists what the provider serves now, each entry an object as in `GET /v1/models`; also the health probe.
    ///
    /// # Errors
    /// If the provider cannot be used at present.
    fn models() -> Result<Vec<Json>, Error>;
}

/// An adapter that serves chat completions.
pub trait Chat: Adapter {
    /// Answers as a whole, with an object of the form `chat.completion`.
    ///
    /// # Errors
    /// If there is no complete answer.
    fn complete(request: ChatRequest) -> Result<Json, Error>;

    /// Answers piece by piece. Return when the provider has accepted the request: a refusal is an error here.
    ///
    /// # Errors
    /// If the provider refused the request.
    fn start(request: ChatRequest) -> Result<impl Chunks, Error>;
}

/// An adapter that serves embeddings.
pub trait Embeddings: Adapter {
    /// Answers with an object as in `POST /v1/embeddings`.
    ///
    /// # Errors
    /// If there is no complete answer.
    fn embed(request: EmbeddingRequest) -> Result<Json, Error>;
}

/// An answer that arrives in pieces. The host drops it to end the request.
pub trait Chunks: 'static {
    /// Waits for at least one chunk and gives all that are there; `None` is the end of a complete answer.
    ///
    /// It is not called again after `None` or an error.
    ///
    /// # Errors
    /// If the answer breaks off.
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error>;
}

impl Chunks for Box<dyn Chunks> {
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        (**self).next()
    }
}

/// Chunks that are known without waiting, one each time.
pub fn each(chunks: impl IntoIterator<Item = Json, IntoIter: 'static>) -> impl Chunks {
    Each(chunks.into_iter())
}

struct Each<I>(I);

impl<I: Iterator<Item = Json> + 'static> Chunks for Each<I> {
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        Ok(self.0.next().map(|chunk| vec![chunk]))
    }
}

/// A key of a model's `config`, as the contract has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConfigKey {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) required: bool,
    /// As JSON.
    pub(crate) default: Option<Json>,
}

/// What an adapter is, for the listings that an operator reads. None of it grants anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) config: Vec<ConfigKey>,
}

impl Description {
    /// A description with no hosts and no settings. `env!("CARGO_PKG_VERSION")` is a good version.
    pub fn new(name: impl Into<String>, version: impl Into<String>, summary: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), summary: summary.into(), hosts: vec![], config: vec![] }
    }

    /// Adds a URL that the adapter would like to reach, in the form of the short grants of `routing.yaml`.
    #[must_use]
    pub fn host(mut self, url: impl Into<String>) -> Self {
        self.hosts.push(url.into());
        self
    }

    /// Adds a key of a model's `config` that must be set.
    #[must_use]
    pub fn required(mut self, name: impl Into<String>, summary: impl Into<String>) -> Self {
        self.config.push(ConfigKey { name: name.into(), summary: summary.into(), required: true, default: None });
        self
    }

    /// Adds a key of a model's `config` that may be set.
    #[must_use]
    pub fn optional(mut self, name: impl Into<String>, summary: impl Into<String>) -> Self {
        self.config.push(ConfigKey { name: name.into(), summary: summary.into(), required: false, default: None });
        self
    }

    /// Adds a key of a model's `config` that has a default: [`settings::get`](crate::settings::get) gives it where a model does not set
    /// the key.
    ///
    /// The default of `base_url` is where the adapter sends its requests for models that set none, and what the operator's grants are
    /// compared with.
    ///
    /// ```
    /// # use hauski_adapter_sdk::Description;
    /// Description::new("example", "1.0.0", "the API of Example")
    ///     .default("base_url", "https://api.example.com/v1", "where the API is, with its version")
    ///     .default("max_tokens", 8192, "the most tokens of an answer");
    /// ```
    #[must_use]
    pub fn default(
        mut self,
        name: impl Into<String>,
        value: impl Into<serde_json::Value>,
        summary: impl Into<String>,
    ) -> Self {
        let default = Some(value.into().to_string());
        self.config.push(ConfigKey { name: name.into(), summary: summary.into(), required: false, default });
        self
    }
}
