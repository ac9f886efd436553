//! A retry budget: retries are a fifth of the calls at most, so that they cannot drown a service that is in trouble.

use parking_lot::Mutex;

/// In tenths of a retry.
const DEPOSIT: u32 = 2;
const COST: u32 = 10;
const MOST: u32 = 200;

#[derive(Debug)]
pub struct RetryBudget {
    balance: Mutex<u32>,
}

impl RetryBudget {
    pub fn new() -> Self {
        Self {
            balance: Mutex::new(MOST / 2),
        }
    }

    /// A call was made.
    pub fn deposit(&self) {
        let mut balance = self.balance.lock();
        *balance = (*balance + DEPOSIT).min(MOST);
    }

    /// Whether a retry may be made.
    pub fn withdraw(&self) -> bool {
        let mut balance = self.balance.lock();
        let enough = *balance >= COST;
        if enough {
            *balance -= COST;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_long_run_one_call_in_five_may_be_retried() {
        let budget = RetryBudget::new();
        while budget.withdraw() {}
        let retries = (0..1_000).filter(|_| {
            budget.deposit();
            budget.withdraw()
        });
        assert_eq!(retries.count(), 200);
    }
}
