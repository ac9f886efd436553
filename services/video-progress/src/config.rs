use postgres::CoalesceSettings;
use secrecy::SecretString;
use serde::Deserialize;
use service_runtime::{Check, Faults};

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub youtube: YouTubeSettings,
    pub writes: Writes,
    pub access_log: AccessLogSettings,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct AccessLogSettings {
    pub keep_months: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct YouTubeSettings {
    pub api_key: SecretString,
    pub base_url: String,
    pub sync_hours: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Writes {
    pub writers: usize,
    pub max_batch: usize,
}

impl Writes {
    pub fn coalescing(self) -> CoalesceSettings {
        CoalesceSettings {
            writers: self.writers,
            max_batch: self.max_batch,
            ..CoalesceSettings::default()
        }
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        if !self.youtube.base_url.starts_with("http") {
            faults.add("youtube.base_url", "has to be an http or https address");
        }
        if ![1, 2, 3, 4, 6, 8, 12].contains(&self.youtube.sync_hours) {
            faults.add("youtube.sync_hours", "has to be 1, 2, 3, 4, 6, 8 or 12");
        }
        if self.writes.writers == 0 {
            faults.add("writes.writers", "has to be at least 1");
        }
        if self.writes.max_batch == 0 {
            faults.add("writes.max_batch", "has to be at least 1");
        }
    }
}
