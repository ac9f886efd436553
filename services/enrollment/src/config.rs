use serde::Deserialize;
use service_runtime::{Check, Faults};

/// The enrollment service has no settings of its own yet.
#[derive(Debug, Deserialize)]
pub struct Settings {}

impl Check for Settings {
    fn check(&self, _faults: &mut Faults) {}
}
