use serde::Deserialize;
use service_runtime::{Check, Faults};

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub caching: CachingSettings,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct CachingSettings {
    pub ttl_seconds: u64,
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        if !(1..=3_600).contains(&self.caching.ttl_seconds) {
            faults.add("caching.ttl_seconds", "has to be from 1 to 3600");
        }
    }
}
