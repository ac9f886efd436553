use object_storage::StorageSettings;
use serde::Deserialize;
use service_runtime::{Check, Faults};

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub storage: StorageSettings,
    pub reports: Reports,
    pub activity: Activity,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Activity {
    pub keep_months: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Reports {
    pub workers: u16,
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        self.storage.check(faults);
        if !(1..=32).contains(&self.reports.workers) {
            faults.add("reports.workers", "has to be from 1 to 32");
        }
    }
}
