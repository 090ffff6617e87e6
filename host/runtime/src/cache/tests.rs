//! What is kept is used, and what does not fit is made again.

use super::*;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;
use wasmtime::Config;

/// The smallest component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const ONE: [u8; 32] = [1; 32];

fn engine() -> Engine {
    Engine::default()
}

/// A folder that nobody else may use.
fn private() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    folder
}

/// Returns how often a component is compiled that is asked for once.
#[track_caller]
fn compiled(folder: &Path, engine: &Engine, digest: [u8; 32]) -> u32 {
    let (cache, digest) = (Cache::open(folder, engine).unwrap(), Digest::from_bytes(digest));
    if cache.get(engine, digest).is_some() {
        return 0;
    }
    cache.put(digest, &engine.precompile_component(COMPONENT).unwrap());
    1
}

/// The one file of the folder.
#[track_caller]
fn only(folder: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    file.clone()
}

#[test]
fn what_was_compiled_once_is_not_compiled_again() {
    let folder = private();
    let path = folder.path().join("a/b");
    assert_eq!(compiled(&path, &engine(), ONE), 1);
    assert_eq!(compiled(&path, &engine(), ONE), 0);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(only(&path)).unwrap().mode() & 0o777, 0o600);
    // Of other bytes, and for another engine.
    assert_eq!(compiled(&path, &engine(), [2; 32]), 1);
    let other = Engine::new(Config::new().epoch_interruption(true)).unwrap();
    assert_eq!((compiled(&path, &other, ONE), compiled(&path, &other, ONE)), (1, 0));
    assert_eq!(compiled(&path, &engine(), ONE), 0);
}

/// A single bit is enough, wherever it is: what would be run is what was compiled, or nothing.
#[test]
fn what_is_not_whole_is_made_again() {
    let folder = private();
    assert_eq!(compiled(folder.path(), &engine(), ONE), 1);
    let path = only(folder.path());
    let whole = fs::read(&path).unwrap();
    let mut places: Vec<_> = (0..whole.len()).step_by(whole.len() / 50).collect();
    places.extend([0, MAGIC.len(), MAGIC.len() + 31, MAGIC.len() + 32, whole.len() - 1]);
    for at in places {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        for broken in [&changed, &whole[..at]] {
            fs::write(&path, broken).unwrap();
            assert_eq!(compiled(folder.path(), &engine(), ONE), 1, "{at}");
            assert_eq!(fs::read(&path).unwrap(), whole, "{at}");
        }
    }
    // Another adapter's code is none of this one's.
    let other = Cache::open(folder.path(), &engine()).unwrap().path(Digest::from_bytes([2; 32]));
    fs::copy(&path, other).unwrap();
    assert_eq!(compiled(folder.path(), &engine(), [2; 32]), 1);
}

#[test]
fn what_others_can_write_is_not_run() {
    let folder = private();
    assert_eq!(compiled(folder.path(), &engine(), ONE), 1);
    let path = only(folder.path());
    fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
    assert_eq!(compiled(folder.path(), &engine(), ONE), 1);
    assert_eq!(compiled(folder.path(), &engine(), ONE), 0);
    // Nor is what lies elsewhere.
    let elsewhere = private();
    fs::rename(&path, elsewhere.path().join("code")).unwrap();
    symlink(elsewhere.path().join("code"), &path).unwrap();
    assert_eq!(compiled(folder.path(), &engine(), ONE), 1);
}

#[test]
fn folders_that_are_not_ones_own_are_not_used() {
    let folder = private();
    let (path, link) = (folder.path().join("cache"), folder.path().join("link"));
    assert_eq!(compiled(&path, &engine(), ONE), 1);
    symlink(&path, &link).unwrap();
    let refused = |path: &Path| Cache::open(path, &engine()).unwrap_err();
    assert!(matches!(refused(&link), CacheError::NotAFolder));
    fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(refused(&path), CacheError::Open));
    let file = only(&path);
    assert!(matches!(refused(&file), CacheError::Io(_)));
}

#[test]
fn what_nobody_uses_is_deleted_some_day() {
    let folder = private();
    assert_eq!(compiled(folder.path(), &engine(), ONE), 1);
    let path = only(folder.path());
    let aged = |path: &Path, age: Duration| {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age)
    };
    // Used, it stays.
    aged(&path, KEPT - NOTED).unwrap();
    assert_eq!(compiled(folder.path(), &engine(), ONE), 0);
    assert!(age(&fs::metadata(&path).unwrap()) < NOTED);
    // Half a file of a writer that was killed goes sooner; what is none of the cache's stays.
    let (part, foreign) = (folder.path().join("x.1-1.part"), folder.path().join("notes.txt"));
    for path in [&part, &foreign, &path] {
        File::options().create(true).append(true).open(path).unwrap();
        aged(path, KEPT + NOTED).unwrap();
    }
    Cache::open(folder.path(), &engine()).unwrap();
    assert_eq!(only(folder.path()), foreign);
}
