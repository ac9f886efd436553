//! Zip packages. Nothing of them is written to disk, and no more is inflated than the limits allow.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::fault::RowFault;

const MAX_FILES: usize = 100;
const MAX_INFLATED_BYTES: u64 = 32 << 20;

/// Files of a package by the names that were asked for.
pub(crate) struct Files<const N: usize> {
    names: [&'static str; N],
    contents: [Option<Vec<u8>>; N],
}

impl<const N: usize> Files<N> {
    pub(crate) fn one(&mut self, name: &str) -> Result<Vec<u8>, RowFault> {
        let at = self.names.iter().position(|known| *known == name);
        at.and_then(|at| self.contents.get_mut(at)?.take())
            .ok_or_else(|| fault("file_missing", format!("there is no {name} in the package")))
    }
}

/// Whether the bytes are a zip file.
pub fn is_package(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// Those files, in whichever folder they are.
pub(crate) fn files<const N: usize>(bytes: &[u8], names: [&'static str; N]) -> Result<Files<N>, RowFault> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| fault("package_broken", format!("this is no zip package: {error}")))?;
    if archive.len() > MAX_FILES {
        return Err(fault("too_large", format!("more than {MAX_FILES} files")));
    }
    let mut contents = [const { None }; N];
    let mut left = MAX_INFLATED_BYTES;
    for (name, content) in names.iter().zip(&mut contents) {
        let mut found: Vec<&str> = archive
            .file_names()
            .filter(|path| !path.starts_with("__MACOSX/"))
            .filter(|path| {
                path.rsplit('/')
                    .next()
                    .is_some_and(|file| file.eq_ignore_ascii_case(name))
            })
            .collect();
        found.sort_by_key(|path| (path.len(), (*path).to_owned()));
        let index = found.first().and_then(|path| archive.index_for_name(path));
        if let Some(index) = index {
            let bytes = inflate(&mut archive, index, left)?;
            left = left.saturating_sub(bytes.len() as u64);
            *content = Some(bytes);
        }
    }
    Ok(Files { names, contents })
}

fn inflate(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize, left: u64) -> Result<Vec<u8>, RowFault> {
    let broken = |error: &dyn std::fmt::Display| {
        fault("package_broken", format!("the file cannot be inflated: {error}"))
    };
    let entry = archive.by_index(index).map_err(|error| broken(&error))?;
    let mut bytes = Vec::new();
    // The size that the package tells is not believed.
    entry
        .take(left.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| broken(&error))?;
    if bytes.len() as u64 > left {
        return Err(fault("too_large", "the files are too large when inflated"));
    }
    Ok(bytes)
}

fn fault(code: &'static str, detail: impl Into<String>) -> RowFault {
    RowFault::new(1, "", code, detail)
}
