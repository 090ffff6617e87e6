//! The adapters folder: looked at file by file, and never left.
//!
//! Out come the names of the files with their stamps, and the bytes of single files. Whether a file is what it was is told by its
//! stamp alone; no clock is asked, and no time is compared with another but for being the same.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use hauski_policy::Digest;
use rustix::fs::OFlags;
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is loaded, in bytes. Adapters made from Python have about 18 MB.
pub(crate) const FILE_BYTES: u64 = 128 << 20;

/// The adapters folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It can't be read.
    #[error("the adapters folder `{}` can't be read: {source}; create it, or set `HAUSKI_ADAPTERS` to the folder with the `.wasm` files", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anyone on the machine could drop code into it.
    #[error("everyone may write to the adapters folder `{}`: take that right away with `chmod o-w`", path.display())]
    Writable {
        /// The folder.
        path: PathBuf,
    },
}

/// What the folder held at one moment.
pub(crate) struct Listing {
    pub(crate) dir: Arc<Dir>,
    /// Which folder that is: device and inode. A link to it may lead elsewhere next time.
    pub(crate) place: (u64, u64),
    /// The files that are adapters or look like it, by name.
    pub(crate) files: BTreeMap<OsString, Stamp>,
}

/// What is known of a file without reading it. As long as it stays the same, so does the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    kind: FileType,
    mode: u32,
    bytes: u64,
    /// Device and inode.
    place: (u64, u64),
    /// When it was written to, in seconds and nanoseconds.
    modified: (i64, i64),
    /// When it was written to, renamed, or its mode changed. Nobody can set this one.
    changed: (i64, i64),
}

/// Returns the SHA-256 of a file's bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::digest(bytes).into())
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            kind: metadata.file_type(),
            mode: metadata.mode(),
            bytes: metadata.len(),
            place: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind.is_file()
    }

    /// Whether anyone on the machine may write to it.
    pub(crate) fn is_writable_by_all(&self) -> bool {
        is_writable_by_all(self.mode)
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn is_writable_by_all(mode: u32) -> bool {
    mode & 0o002 != 0
}

/// Looks at the folder. Opened anew each time, so that one that was put in its place is found.
pub(crate) fn look(path: &Path) -> Result<Listing, FolderError> {
    let fail = |source| FolderError::Unreadable { path: path.to_owned(), source };
    let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(fail)?;
    let own = dir.dir_metadata().map_err(fail)?;
    if is_writable_by_all(own.mode()) {
        return Err(FolderError::Writable { path: path.to_owned() });
    }
    let mut files = BTreeMap::new();
    for entry in dir.entries().map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        if !matches!(Path::new(&name).extension().and_then(|kind| kind.to_str()), Some("wasm" | "cwasm")) {
            continue;
        }
        match dir.symlink_metadata(&name) {
            Ok(metadata) => drop(files.insert(name, Stamp::of(&metadata))),
            // It has gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Ok(Listing { dir: Arc::new(dir), place: (own.dev(), own.ino()), files })
}

/// Checks that the adapters folder can be used.
///
/// # Errors
/// If it can't.
pub fn check_folder(path: &Path) -> Result<(), FolderError> {
    look(path).map(drop)
}

/// The bytes of the file with this stamp, or `None` if it is not that file any more.
pub(crate) fn read(dir: &Dir, name: &Path, stamp: &Stamp) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    // What has become a pipe since would hold the reader up.
    options.read(true).custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default());
    let mut file = match dir.open_with(name, &options) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_the_same = |metadata: &Metadata| Stamp::of(metadata) == *stamp;
    if !is_the_same(&file.metadata()?) {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.bytes).unwrap_or_default() + 1);
    (&mut file).take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(is_the_same(&file.metadata()?).then_some(bytes))
}
