//! Where the egress policy comes from: `routing.yaml`, and the variables and files that its secrets name.
//!
//! Read at start, and again whenever one of the files changes. Out comes the policy with all its secrets, or all that is wrong;
//! nothing between the two. Keys and certificates are read by the same means.

use crate::environment::{Environment, ROUTING};
use crate::setup::{Problem, read_file};
use hauski_egress::Secrets;
use hauski_policy::{Parsed, Routing};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The largest file that is read, in bytes: no policy and no key has more.
const LARGEST: u64 = 1 << 20;

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

impl Seen {
    /// What the same files hold now.
    pub(crate) fn again(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), mark(&read(path)))).collect())
    }

    /// Whether the two have seen the same of each file that both have looked at.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        self.0.iter().all(|(path, held)| other.0.get(path).is_none_or(|other| other == held))
    }
}

/// What a file held, wiped when it is dropped.
type Content = Zeroizing<Vec<u8>>;

impl Source {
    pub(crate) fn new(path: PathBuf, env: Arc<dyn Environment>) -> Self {
        Self { path, env }
    }

    /// Reads everything, each file once. What was read is told in either case, so that a change of it can be noticed.
    pub(crate) fn load(&self) -> (Result<Loaded, Vec<Problem>>, Seen) {
        read_all(|read| self.parse(read))
    }

    fn parse(&self, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Loaded, Vec<Problem>> {
        let routing = read_file(&self.path, ROUTING, Routing::parse, read).map_err(|problem| vec![problem])?;
        let env = |name: &str| self.env.var(name);
        let secrets = Secrets::load(&routing.value.egress.grants, &env, read).map_err(|missing| {
            let file = self.path.to_string_lossy();
            let problem = |missing| Problem::Secret { file: file.clone().into_owned(), missing };
            missing.into_iter().map(problem).collect::<Vec<_>>()
        })?;
        Ok(Loaded { routing, secrets })
    }
}

/// What `parse` makes of the files that it reads, each of them once, and what they held.
pub(crate) fn read_all<T>(parse: impl FnOnce(&dyn Fn(&Path) -> io::Result<Vec<u8>>) -> T) -> (T, Seen) {
    let files: RefCell<BTreeMap<PathBuf, io::Result<Content>>> = RefCell::default();
    let parsed = parse(&|path| {
        let mut files = files.borrow_mut();
        let content = files.entry(path.to_owned()).or_insert_with(|| read(path));
        content
            .as_ref()
            .map(|content| content.to_vec())
            .map_err(|error| io::Error::new(error.kind(), error.to_string()))
    });
    let seen = files.into_inner().into_iter().map(|(path, content)| (path, mark(&content))).collect();
    (parsed, Seen(seen))
}

fn mark(content: &io::Result<Content>) -> Result<[u8; 32], io::ErrorKind> {
    content.as_ref().map(|bytes| Sha256::digest(bytes).into()).map_err(io::Error::kind)
}

/// Reads a regular file; anything else, such as a pipe that nobody writes to, could hold the reader up for ever.
pub(crate) fn read(path: &Path) -> io::Result<Content> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {LARGEST} bytes")));
    }
    // Of its full size from the start: growing would leave copies behind.
    let size = usize::try_from(metadata.len()).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(LARGEST).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("key"), "sk-12345").unwrap();
        assert_eq!(read(&path("key")).unwrap().as_slice(), b"sk-12345");
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        std::fs::write(path("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
        for (name, expected) in [
            ("pipe", io::ErrorKind::InvalidInput),
            (".", io::ErrorKind::InvalidInput),
            ("large", io::ErrorKind::FileTooLarge),
            ("absent", io::ErrorKind::NotFound),
        ] {
            assert_eq!(read(&path(name)).unwrap_err().kind(), expected, "{name}");
        }
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
