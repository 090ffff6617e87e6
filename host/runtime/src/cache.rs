//! Compiled code, kept between runs in a folder of the gateway's own, so that a start need not compile again.
//!
//! Loading machine code is trusting it, so a file is used only if this user wrote it where nobody else can write, and if it is whole: its
//! name has the adapter's digest and the engine's settings, its head the digest of what follows. What does not fit is compiled again.
//! Nothing that was put into the adapters folder ever comes here.

use hauski_policy::Digest;
use rustix::fs::OFlags;
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use wasmtime::Engine;
use wasmtime::component::Component;

/// What each file begins with.
const MAGIC: &[u8] = b"hauski compiled 1\n";
/// How files end that are whole, and those that are being written.
const WHOLE: &str = "code";
const PART: &str = "part";
/// What was not used for so long is deleted.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// How often it is noted that a file is used.
const NOTED: Duration = Duration::from_hours(24);

/// A folder with compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// The engine that can run it.
    engine: [u8; 32],
}

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error("it can't be used: {0}")]
    Io(#[from] io::Error),
    #[error("it is no folder")]
    NotAFolder,
    #[error("it belongs to another user")]
    Foreign,
    #[error("others than its owner may use it: take that right away with `chmod 700`")]
    Open,
}

impl Cache {
    /// Opens the folder, and makes it where there is none.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Result<Self, CacheError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::symlink_metadata(folder)?;
        if !metadata.is_dir() {
            return Err(CacheError::NotAFolder);
        }
        if metadata.uid() != geteuid().as_raw() {
            return Err(CacheError::Foreign);
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(CacheError::Open);
        }
        let mut settings = Settings(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        let cache = Self { folder: folder.to_owned(), engine: settings.0.finalize().into() };
        cache.clear();
        Ok(cache)
    }

    /// Returns the code of the adapter with this digest, if it is there and fits.
    pub(crate) fn get(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest);
        match self.load(engine, digest, &path) {
            Ok(component) => Some(component),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "compiled code can't be used and is made again");
                None
            }
        }
    }

    /// Keeps the code of the adapter with this digest.
    pub(crate) fn put(&self, digest: Digest, code: &[u8]) {
        let path = self.path(digest);
        if let Err(error) = self.keep(digest, &path, code) {
            tracing::warn!(file = %path.display(), %error, "compiled code could not be kept; the next start compiles again");
        }
    }

    /// Where that code is kept.
    fn path(&self, digest: Digest) -> PathBuf {
        let engine: String = self.engine[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = digest.to_string().replace("sha256:", "");
        self.folder.join(format!("{digest}-{engine}.{WHOLE}"))
    }

    fn load(&self, engine: &Engine, digest: Digest, path: &Path) -> io::Result<Component> {
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !is_ours(&metadata) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it belongs to another user, or others may write to it",
            ));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
        file.read_to_end(&mut bytes)?;
        let code = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<32>());
        let code = code.filter(|(seal, code)| **seal == self.seal(digest, code)).map(|(_, code)| code);
        let Some(code) = code else { return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not whole")) };
        note_use(&file, &metadata);
        // Still checked by the engine: its version, and the settings that the code was made for.
        deserialize(engine, code).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{error:#}")))
    }

    /// What shows that a file is whole, and of this adapter and this engine.
    fn seal(&self, digest: Digest, code: &[u8]) -> [u8; 32] {
        let mut seal = Sha256::new();
        seal.update(digest.to_string());
        seal.update(self.engine);
        seal.update(code);
        seal.finalize().into()
    }

    /// Writes a file, which is there as a whole or not at all.
    fn keep(&self, digest: Digest, path: &Path, code: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let part = path.with_extension(format!("{}-{number}.{PART}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            for piece in [MAGIC, &self.seal(digest, code), code] {
                file.write_all(piece)?;
            }
            file.sync_all()?;
            fs::rename(&part, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Deletes what nobody has used for long, such as the code of adapters and engines that are gone, and what a crash has left.
    fn clear(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let kept = match path.extension().and_then(|kind| kind.to_str()) {
                Some(WHOLE) => KEPT,
                Some(PART) => NOTED,
                _ => continue,
            };
            if entry.metadata().is_ok_and(|metadata| age(&metadata) > kept) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Whether this user wrote it, and nobody else can.
fn is_ours(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

/// How long ago it was written, or its use was noted; nothing where the clock says it is still to come.
fn age(metadata: &Metadata) -> Duration {
    metadata.modified().ok().and_then(|then| SystemTime::now().duration_since(then).ok()).unwrap_or_default()
}

fn note_use(file: &File, metadata: &Metadata) {
    if age(metadata) > NOTED {
        // Its owner may, also where it was opened to be read. If not, it is compiled again some day.
        let _ = file.set_modified(SystemTime::now());
    }
}

#[expect(
    unsafe_code,
    reason = "machine code is run as it is: it comes from the compiler process, at once or by a file that only this user can write"
)]
pub(crate) fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is what `Engine::precompile_component` gave in the compiler process, byte for byte: that process has ended
    // successfully, or the seal shows it, in a file that only this user can write.
    unsafe { Component::deserialize(engine, code) }
}

/// A digest of what an engine's settings feed to a hasher.
struct Settings(Sha256);

impl Hasher for Settings {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not what is asked for.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
