//! Where the egress policy comes from: `routing.yaml`, and the variables and files that its secrets name.
//!
//! Read at start, and again whenever one of the files changes. Out comes the policy with all its secrets, or all that is wrong;
//! nothing between the two.

use crate::environment::{Environment, ROUTING};
use crate::setup::{Problem, read_file};
use hauski_egress::Secrets;
use hauski_policy::{Parsed, Routing};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files and variables that a policy is made of.
pub(crate) struct Source {
    path: PathBuf,
    env: Arc<dyn Environment>,
}

/// A policy that holds as a whole.
pub(crate) struct Loaded {
    pub(crate) routing: Parsed<Routing>,
    pub(crate) secrets: Secrets,
}

/// What the files held when they were read: a digest of each, or why it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, Result<[u8; 32], io::ErrorKind>>);

impl Source {
    pub(crate) fn new(path: PathBuf, env: Arc<dyn Environment>) -> Self {
        Self { path, env }
    }

    /// Reads everything. What was read is told in either case, so that a change of it can be noticed.
    pub(crate) fn load(&self) -> (Result<Loaded, Vec<Problem>>, Seen) {
        let seen = RefCell::default();
        let loaded = self.read(&|path| {
            let content = std::fs::read(path);
            note(&mut seen.borrow_mut(), path, &content);
            content
        });
        (loaded, seen.into_inner())
    }

    fn read(&self, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Loaded, Vec<Problem>> {
        let routing = read_file(&self.path, ROUTING, Routing::parse, read).map_err(|problem| vec![problem])?;
        let env = |name: &str| self.env.var(name);
        let secrets = Secrets::load(&routing.value.egress.grants, &env, read).map_err(|missing| {
            let file = self.path.to_string_lossy();
            missing
                .into_iter()
                .map(|missing| Problem::Secret { file: file.clone().into_owned(), missing })
                .collect::<Vec<_>>()
        })?;
        Ok(Loaded { routing, secrets })
    }

    /// What the same files hold now.
    pub(crate) fn look(seen: &Seen) -> Seen {
        let mut now = Seen::default();
        seen.0.keys().for_each(|path| note(&mut now, path, &std::fs::read(path)));
        now
    }
}

fn note(seen: &mut Seen, path: &Path, content: &io::Result<Vec<u8>>) {
    let content = content.as_ref().map(|bytes| Sha256::digest(bytes).into()).map_err(io::Error::kind);
    seen.0.insert(path.to_owned(), content);
}
