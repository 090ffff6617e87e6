//! A loaded adapter, and the calls that can be made to it. Each call has an instance of its own.

use crate::audit::{Audit, Profile};
use crate::bindings::exports::hauski::adapter::{about, chat, embeddings};
use crate::consumption::Consumption;
use crate::error::CallError;
use crate::imports::Named;
use crate::instance::Template;
use crate::reply::{Reply, Whole};
use crate::state::Call;
use hauski_egress::today;
use hauski_policy::{
    AdapterFacts, AdapterId, AdapterLimits, BaseUrl, Digest, Egress, Limits, Lock, ModelScope, Models, Scope, Standing,
    Target, Unapproved,
};
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An adapter that can serve.
pub struct Adapter {
    pub(crate) profile: Arc<Profile>,
    pub(crate) imports: Arc<[Named]>,
    pub(crate) exports: Arc<Exports>,
    pub(crate) template: Template,
}

/// Where the component's exports are; `about` is always there, and one of the others.
pub(crate) struct Exports {
    pub(crate) about: about::GuestIndices,
    pub(crate) chat: Option<chat::GuestIndices>,
    pub(crate) embeddings: Option<embeddings::GuestIndices>,
}

impl Adapter {
    /// What the adapter is.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Returns what the adapter is, imports, and may reach under `egress` on behalf of each of its `models`.
    #[must_use]
    pub fn audit(&self, egress: &Egress, models: &Models) -> Audit<'_> {
        Audit::new(self, egress, models)
    }

    /// Returns the facts on which the reach of its models depends.
    #[must_use]
    pub fn facts(&self) -> AdapterFacts<'_> {
        let holder = self.template.caller.holder();
        let config_keys = self.profile.description.config.iter().map(|key| &*key.name).collect();
        AdapterFacts { holder, base_url: self.default_base_url(), config_keys, can_send: self.can_send() }
    }

    /// Returns the base URL of models that set none, if the adapter describes one.
    #[must_use]
    pub fn default_base_url(&self) -> Option<BaseUrl> {
        let key = self.profile.description.config.iter().find(|key| key.name == "base_url")?;
        serde_json::from_str::<String>(key.default.as_deref()?).ok()?.parse().ok()
    }

    /// Returns the standing of a model that it serves, under `egress` on the day `today` (UTC).
    #[must_use]
    pub fn standing(&self, egress: &Egress, model: &ModelScope, today: Date) -> Standing {
        egress.standing(&self.facts(), model, today)
    }

    /// Returns whether it imports a way to send requests. Without one, what it is sent stays in the sandbox.
    fn can_send(&self) -> bool {
        self.imports.iter().any(Named::is_way_out)
    }

    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.template.caller.holder().digest
    }

    /// Whether `lock` approves it under the name `id`, or why not.
    pub(crate) fn judge(&self, lock: &Lock, id: &AdapterId) -> Result<(), Unapproved> {
        lock.judge(id, &self.digest(), &self.import_names())
    }

    /// The names of its imports.
    fn import_names(&self) -> BTreeSet<String> {
        self.imports.iter().map(|import| import.name().to_owned()).collect()
    }

    /// Returns the same adapter under other limits. Both share what is compiled and the adapter's queue.
    pub(crate) fn with_limits(&self, limits: &Limits) -> Self {
        let (profile, imports, exports) = (self.profile.clone(), self.imports.clone(), self.exports.clone());
        Self { profile, imports, exports, template: self.template.with_limits(limits) }
    }

    /// Returns whether these limits are in force for it.
    pub(crate) fn is_under(&self, limits: &Limits) -> bool {
        self.template.is_under(limits)
    }

    /// The adapter's limits.
    #[must_use]
    pub fn limits(&self) -> &AdapterLimits {
        &self.template.limits
    }

    /// Requests that it serves at this moment.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.template.slots.in_use()
    }

    /// What its instances have taken and take.
    #[must_use]
    pub fn consumption(&self) -> &Consumption {
        self.template.slots.consumption()
    }

    /// Requests that wait for an instance at this moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.template.slots.waiting()
    }

    /// Returns whether a grant of `egress` lets the adapter fetch `url` in this scope, with `local_only` one that is local: for what a
    /// client asks a provider to fetch.
    #[must_use]
    pub fn may_fetch(&self, egress: &Egress, scope: &Scope, url: &str, local_only: bool) -> bool {
        let holder = self.template.caller.holder();
        Target::parse("GET", url).is_ok_and(|target| egress.decide(holder, scope, &target, today(), local_only).is_ok())
    }

    /// Answers a chat request as a whole. `request` and answer are JSON in OpenAI's dialect.
    ///
    /// # Errors
    /// If the adapter gives none; see [`CallError`].
    pub async fn complete(&self, call: Call, request: Arc<String>) -> Result<Whole, CallError> {
        let indices = self.exports.chat.as_ref().ok_or(CallError::NotServed("chat"))?;
        let mut fresh = self.template.instantiate(call).await?;
        let chat = fresh.load(|store, instance| indices.load(store, instance))?;
        let answer = fresh.run(|mut fresh| async move {
            let answer = chat.call_complete(&mut fresh.store, &request).await;
            (fresh, answer)
        });
        let (fresh, text) = answer.await?;
        let place = fresh.take_place(text.len());
        fresh.end();
        Ok(Whole { text, place: place? })
    }

    /// Answers a chat request piece by piece.
    ///
    /// # Errors
    /// If the provider or the adapter refuses it; what breaks later is an error of [`Reply::next`].
    pub async fn start(&self, call: Call, request: Arc<String>) -> Result<Reply, CallError> {
        let indices = self.exports.chat.as_ref().ok_or(CallError::NotServed("chat"))?;
        let mut fresh = self.template.instantiate(call).await?;
        let chat = Arc::new(fresh.load(|store, instance| indices.load(store, instance))?);
        let guest = chat.clone();
        let started = fresh.run(|mut fresh| async move {
            let reply = guest.call_start(&mut fresh.store, &request).await;
            (fresh, reply)
        });
        let (fresh, reply) = started.await?;
        Ok(Reply::new(fresh, chat, reply))
    }

    /// Answers an embeddings request.
    ///
    /// # Errors
    /// If the adapter gives no answer; see [`CallError`].
    pub async fn embed(&self, call: Call, request: Arc<String>) -> Result<Whole, CallError> {
        let indices = self.exports.embeddings.as_ref().ok_or(CallError::NotServed("embeddings"))?;
        let mut fresh = self.template.instantiate(call).await?;
        let embeddings = fresh.load(|store, instance| indices.load(store, instance))?;
        let answer = fresh.run(|mut fresh| async move {
            let answer = embeddings.call_embed(&mut fresh.store, &request).await;
            (fresh, answer)
        });
        let (fresh, text) = answer.await?;
        let place = fresh.take_place(text.len());
        fresh.end();
        Ok(Whole { text, place: place? })
    }

    /// What the provider serves now, as JSON objects of OpenAI's `GET /v1/models`; `call` has the settings of the model on whose
    /// behalf it is asked.
    ///
    /// # Errors
    /// If the provider can't be used at present.
    pub async fn models(&self, call: Call) -> Result<Vec<String>, CallError> {
        let mut fresh = self.template.instantiate(call).await?;
        let about = fresh.load(|store, instance| self.exports.about.load(store, instance))?;
        let answer = fresh.run(|mut fresh| async move {
            let answer = about.call_models(&mut fresh.store).await;
            (fresh, answer)
        });
        let (fresh, answer) = answer.await?;
        fresh.end();
        Ok(answer)
    }
}
