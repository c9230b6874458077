//! Compressed parts: gzip files that anybody can read, with the sums of both sides.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::manifest::{Part, Sum};
use super::verify::PartFault;

/// Counts and hashes what passes through.
#[derive(Debug)]
struct Summed<T> {
    inner: T,
    bytes: u64,
    hash: Sha256,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self { inner, bytes: 0, hash: Sha256::new() }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    fn sum(self) -> (T, Sum) {
        let sum = Sum { bytes: self.bytes, sha256: hex::encode(self.hash.finalize()) };
        (self.inner, sum)
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.passed(&into[..read]);
        Ok(read)
    }
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.passed(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Makes a new file that only its owner can read.
pub(super) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file of a backup; a link that leads elsewhere is refused.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Compresses `from` into the new file `to`, which is on the disk when this returns.
///
/// Returns the sums before and after compression.
pub(super) fn pack(from: &Path, to: &Path) -> io::Result<(Sum, Sum)> {
    let mut original = Summed::new(File::open(from)?);
    let compressed = Summed::new(BufWriter::new(new_file(to)?));
    let mut encoder = GzEncoder::new(compressed, Compression::default());
    io::copy(&mut original, &mut encoder)?;
    let mut compressed = encoder.finish()?;
    compressed.flush()?;
    let (file, compressed) = compressed.sum();
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok((original.sum().1, compressed))
}

/// Restores a part of the backup in `folder` to the new file `to`, checking both sums.
///
/// Nothing is decompressed whose compressed bytes are not those of the manifest, and never more
/// than the manifest says.
pub(super) fn unpack(folder: &Path, part: &Part, to: &Path) -> Result<(), PartFault> {
    let path = folder.join(&part.file);
    let open = || match open_file(&path) {
        Ok(file) => Ok(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PartFault::Missing),
        Err(error) => Err(PartFault::Unreadable(error.to_string())),
    };
    let unreadable = |error: io::Error| PartFault::Unreadable(error.to_string());
    let mut compressed = Summed::new(open()?);
    io::copy(&mut compressed, &mut io::sink()).map_err(unreadable)?;
    let (_, found) = compressed.sum();
    if found != part.compressed {
        return Err(PartFault::Changed { expected: part.compressed.bytes, found: found.bytes });
    }
    let limit = part.original.bytes.saturating_add(1);
    let mut original = Summed::new(GzDecoder::new(open()?).take(limit));
    let mut file = BufWriter::new(new_file(to).map_err(unreadable)?);
    io::copy(&mut original, &mut file).map_err(unreadable)?;
    file.flush().map_err(unreadable)?;
    let (_, found) = original.sum();
    if found != part.original {
        return Err(PartFault::Content("it does not decompress to what was packed".to_owned()));
    }
    Ok(())
}
