use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use service_runtime::Faults;

/// Where files are kept, and how to get there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// A folder, or `s3://bucket/prefix`.
    pub location: String,
    /// Of what speaks like S3; empty for Amazon's own.
    pub endpoint: String,
    pub region: String,
    pub access_key_id: SecretString,
    pub secret_access_key: SecretString,
}

impl StorageSettings {
    /// Bucket and prefix; `None` for a folder.
    pub(crate) fn bucket(&self) -> Option<(&str, &str)> {
        let rest = self.location.strip_prefix("s3://")?;
        Some(match rest.split_once('/') {
            Some((bucket, prefix)) => (bucket, prefix.trim_matches('/')),
            None => (rest, ""),
        })
    }

    pub fn check(&self, faults: &mut Faults) {
        if self.location.is_empty() || self.bucket().is_some_and(|(bucket, _)| bucket.is_empty()) {
            faults.add("storage.location", "has to be a folder or s3://bucket/prefix");
        }
        if !self.endpoint.is_empty() && !self.endpoint.starts_with("http") {
            faults.add("storage.endpoint", "has to be an http or https address");
        }
        if self.access_key_id.expose_secret().is_empty() != self.secret_access_key.expose_secret().is_empty()
        {
            faults.add(
                "storage.secret_access_key",
                "belongs to storage.access_key_id: both or none",
            );
        }
    }
}
