//! Files that are kept beside the database (C-CAT-11): in a folder, or in a bucket of S3 or what speaks like it.

mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;

pub use settings::StorageSettings;

/// Read at a time. A file of any length goes through a process in pieces of this.
pub const PART_BYTES: u64 = 4 << 20;
/// Up to this much is written in one request; the pieces of what is longer are of this size (S3 wants 5 MiB at least).
const WRITE_BYTES: usize = 8 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    },
    max_retries: 3,
    retry_timeout: Duration::from_mins(1),
};

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("the folder cannot be used")]
    Folder(#[source] std::io::Error),
    #[error("the storage refused")]
    Store(#[from] object_store::Error),
    #[error("the file cannot be written")]
    Write(#[from] std::io::Error),
}

/// Where files are kept.
#[derive(Debug, Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// Before every name.
    prefix: String,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub content: Bytes,
    /// The piece after it; `None` for the last one.
    pub next: Option<u32>,
}

impl Storage {
    /// Makes the folder; does not ask a bucket yet.
    pub fn open(settings: &StorageSettings) -> Result<Self, StorageError> {
        let Some((bucket, prefix)) = settings.bucket() else {
            std::fs::create_dir_all(&settings.location).map_err(StorageError::Folder)?;
            let folder = LocalFileSystem::new_with_prefix(&settings.location)?;
            return Ok(Self {
                // What is acknowledged is on the disk.
                store: Arc::new(folder.with_fsync(true)),
                prefix: String::new(),
            });
        };
        let client = ClientOptions::new()
            .with_timeout(TIMEOUT)
            .with_connect_timeout(Duration::from_secs(5))
            .with_allow_http(settings.endpoint.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&settings.region)
            .with_client_options(client)
            .with_retry(RETRIES);
        if !settings.endpoint.is_empty() {
            builder = builder.with_endpoint(&settings.endpoint);
        }
        // Without a key of its own the process has that of its machine or pod.
        if !settings.access_key_id.expose_secret().is_empty() {
            builder = builder
                .with_access_key_id(settings.access_key_id.expose_secret())
                .with_secret_access_key(settings.secret_access_key.expose_secret());
        }
        Ok(Self {
            store: Arc::new(builder.build()?),
            prefix: prefix.to_owned(),
        })
    }

    /// Begins a file. Nobody sees it before [`Writer::finish`]; one of the same name is replaced then.
    pub fn writer(&self, name: &str) -> Writer {
        Writer {
            inner: BufWriter::with_capacity(Arc::clone(&self.store), self.path(name), WRITE_BYTES),
            bytes: 0,
        }
    }

    /// A piece of a file, counted from 0; `None` when there is no such file, or it is not that long.
    pub async fn read_part(&self, name: &str, part: u32) -> Result<Option<Part>, StorageError> {
        let path = self.path(name);
        let size = match self.store.head(&path).await {
            Ok(meta) => meta.size,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(fault) => return Err(fault.into()),
        };
        let start = u64::from(part) * PART_BYTES;
        if start >= size {
            return Ok((start == 0).then(|| Part {
                content: Bytes::new(),
                next: None,
            }));
        }
        let end = size.min(start + PART_BYTES);
        let options = GetOptions::new().with_range(Some(start..end));
        match self.store.get_opts(&path, options).await {
            Ok(found) => Ok(Some(Part {
                content: found.bytes().await?,
                next: (end < size).then(|| part + 1),
            })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Removes a file; one that is not there is none either.
    pub async fn delete(&self, name: &str) -> Result<(), StorageError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Names of the files of a folder that were written before a moment.
    pub async fn names_before(
        &self,
        folder: &str,
        moment: OffsetDateTime,
    ) -> Result<Vec<String>, StorageError> {
        let prefix = self.path(folder);
        let mut found = self.store.list(Some(&prefix));
        let mut names = Vec::new();
        while let Some(meta) = found.try_next().await? {
            if meta.last_modified.timestamp() < moment.unix_timestamp() {
                let whole = meta.location.to_string();
                let own = whole.strip_prefix(&self.prefix).unwrap_or(&whole);
                names.push(own.trim_start_matches('/').to_owned());
            }
        }
        Ok(names)
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }
}

/// A file that is being written, in pieces; memory holds one of them.
#[derive(Debug)]
pub struct Writer {
    inner: BufWriter,
    bytes: u64,
}

impl Writer {
    pub async fn write(&mut self, content: Vec<u8>) -> Result<(), StorageError> {
        self.bytes += content.len() as u64;
        Ok(self.inner.put(Bytes::from(content)).await?)
    }

    /// Makes it a file; gives its length.
    pub async fn finish(mut self) -> Result<u64, StorageError> {
        self.inner.shutdown().await?;
        Ok(self.bytes)
    }

    /// Takes back what was written.
    pub async fn abort(mut self) -> Result<(), StorageError> {
        match self.inner.abort().await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }
}
