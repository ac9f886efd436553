use postgres::CoalesceSettings;
use serde::Deserialize;
use service_runtime::{Check, Faults};

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub grace_seconds: u32,
    pub close_after_seconds: u32,
    pub writes: Writes,
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
        // An arrival is believed for half a minute; a grace beyond that could not be kept.
        if self.grace_seconds > 25 {
            faults.add("grace_seconds", "has to be at most 25");
        }
        if self.writes.writers == 0 || self.writes.max_batch == 0 {
            faults.add("writes", "writers and max_batch have to be at least 1");
        }
    }
}
