//! The real gateway, in this process, on a port of its own, with policies and adapters of the test.

use crate::builder::Builder;
use crate::routing;
use crate::{Client, Log};
use hauski_server::Running;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

/// A gateway that runs until it is dropped.
pub struct TestHost {
    running: Option<Running>,
    address: SocketAddr,
    folder: TempDir,
}

impl TestHost {
    /// A gateway that reaches nothing and has no models, to be changed.
    ///
    /// # Panics
    /// If there is no place for its files.
    #[must_use]
    pub fn builder() -> Builder {
        Log::start();
        Builder::new()
    }

    pub(crate) fn running(running: Running, folder: TempDir) -> Self {
        Self { address: running.address(), running: Some(running), folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client for it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client(self.address)
    }

    /// The folder with its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the entries of `egress.allow`, as an editor that replaces the file does. They hold a moment later, and those that name
    /// no models apply to every model.
    pub fn set_grants(&self, entries: &[&str]) {
        let entries: String =
            entries.iter().map(|entry| format!("    - {}\n", routing::for_every_model(entry))).collect();
        self.set_routing(&routing::routing_of(&entries));
    }

    /// Replaces `routing.yaml`.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn set_routing(&self, text: &str) {
        self.set_file("routing.yaml", text);
    }

    /// Replaces `keys.yaml`.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn set_keys(&self, text: &str) {
        self.set_file("keys.yaml", text);
    }

    /// Replaces a file of the folder.
    ///
    /// # Panics
    /// If it can't be written.
    #[expect(clippy::expect_used, reason = "a test without its files has failed")]
    pub fn set_file(&self, name: &str, text: &str) {
        let (new, path) = (self.folder().join(format!("{name}.new")), self.folder().join(name));
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).expect("a new file");
    }

    /// Reads the policy again, as SIGHUP does.
    pub fn reload(&self) {
        if let Some(running) = &self.running {
            running.reload();
        }
    }

    /// Stops it as a signal would: waits for running answers.
    pub fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // Workers may still wait for a client that the test keeps; nobody needs to wait for them.
            std::thread::spawn(move || running.stop());
        }
    }
}
