//! Work at the end of a test.

/// Runs `work` to its end from a `drop`, which cannot wait inside the test's own runtime.
pub(crate) fn run(work: impl Future<Output = ()> + Send + 'static) {
    // What is left behind is removed by a later test.
    let _ = std::thread::spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(work);
        }
    })
    .join();
}
