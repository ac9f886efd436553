use postgres::CoalesceSettings;
use serde::Deserialize;
use service_runtime::{Check, Faults};

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
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
        if self.writes.writers == 0 {
            faults.add("writes.writers", "has to be at least 1");
        }
        if self.writes.max_batch == 0 {
            faults.add("writes.max_batch", "has to be at least 1");
        }
    }
}
