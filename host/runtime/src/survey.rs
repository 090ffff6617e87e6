//! A survey of the adapters folder for its approval: digests and imports, without compiling or running anything.

use crate::adapters::Refused;
use crate::audit::plain;
use crate::folder::{self, FolderError, Listing, Stamp};
use crate::load::{self, Failed, LoadError};
use hauski_policy::{AdapterId, Digest, Egress, Holder, Lock, Locked};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

/// The files that a survey reads and parses.
#[derive(Clone, Copy, Debug)]
pub enum SurveyScope<'a> {
    /// All files.
    All,
    /// The file of one adapter; no other is read.
    One(&'a AdapterId),
    /// All files are read. Those whose bytes the lock does not approve are not parsed.
    ApprovedBy(&'a Lock),
}

/// The adapters of a folder at one moment, without the question whether they can be compiled.
#[derive(Debug, Default)]
pub struct Survey {
    /// The files that may be adapters, by id.
    pub adapters: BTreeMap<AdapterId, Surveyed>,
    /// The files that can be none, by name.
    pub refused: Vec<Refused>,
}

/// One file of a survey.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The digest of its bytes.
    pub digest: Digest,
    /// The names of its imports, with their versions; `None` where it was not parsed.
    pub imports: Option<BTreeSet<String>>,
}

impl Survey {
    /// Reads the files of `folder`.
    ///
    /// # Errors
    /// If the folder itself can't be read.
    pub fn of(folder: &Path, scope: SurveyScope<'_>) -> Result<Self, FolderError> {
        let listing = folder::look(folder)?;
        let mut survey = Self::default();
        let is_wanted = |name: &OsStr| match scope {
            SurveyScope::One(id) => Path::new(name) == Path::new(&format!("{id}.wasm")),
            SurveyScope::All | SurveyScope::ApprovedBy(_) => true,
        };
        for (name, stamp) in listing.files.iter().filter(|(name, _)| is_wanted(name)) {
            match look_at(&listing, name, stamp, scope) {
                Ok((id, surveyed)) => drop(survey.adapters.insert(id, surveyed)),
                Err(Failed { error, known }) => survey.refused.push(Refused {
                    file: plain(&name.to_string_lossy()),
                    state: error.state(),
                    reason: error.to_string(),
                    known: known.map(|known| *known),
                    serving: None,
                }),
            }
        }
        Ok(survey)
    }

    /// Returns the lock that approves all of it, under `egress`. `before` stands in for the imports of files that were not parsed.
    #[must_use]
    pub fn to_lock(&self, egress: &Egress, before: &Lock) -> Lock {
        let locked = |(id, surveyed): (&AdapterId, &Surveyed)| {
            let known = before.adapters.get(id).map(|locked| &locked.imports);
            (id.clone(), surveyed.to_locked(id, egress, known))
        };
        Lock { adapters: self.adapters.iter().map(locked).collect() }
    }
}

impl Surveyed {
    fn to_locked(&self, id: &AdapterId, egress: &Egress, known: Option<&BTreeSet<String>>) -> Locked {
        let holder = Holder { id, digest: &self.digest };
        let grants = egress.held_by(holder).map(|grant| grant.summary()).collect();
        let imports = self.imports.as_ref().or(known).cloned().unwrap_or_default();
        Locked { digest: self.digest, imports, grants }
    }
}

fn look_at(
    listing: &Listing,
    name: &OsStr,
    stamp: &Stamp,
    scope: SurveyScope<'_>,
) -> Result<(AdapterId, Surveyed), Failed> {
    let id = load::check(name, stamp)?;
    let bytes = folder::read(&listing.dir, Path::new(name), stamp).map_err(LoadError::Read)?;
    let bytes = bytes.ok_or(LoadError::Changing)?;
    let digest = folder::digest(&bytes);
    if let SurveyScope::ApprovedBy(lock) = scope
        && lock.judge_digest(&id, &digest).is_err()
    {
        return Ok((id, Surveyed { digest, imports: None }));
    }
    let file = load::open(id.clone(), digest, &bytes)?;
    file.check_names()?;
    Ok((id, Surveyed { digest, imports: Some(file.into_import_names()) }))
}
