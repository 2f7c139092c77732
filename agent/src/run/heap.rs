//! Memory that was needed once and is no longer.

/// Gives what is free in the heap back to the kernel. A look that reads a thousand packages needs twice of what the agent
/// holds otherwise; glibc keeps it, since it lies between pieces that are in use.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    trim();
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "std and rustix have no malloc_trim; it takes a number, and glibc locks its own heap")]
fn trim() {
    unsafe extern "C" {
        /// malloc_trim(3): how many bytes to keep at the top; says whether anything was given back.
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    let gave = malloc_trim(0) == 1;
    tracing::debug!(gave, "free memory is given back");
}
