//! Memory of processes.

/// Most memory of a process at any moment, mapped pages of files included, in bytes; `None`: it is gone. `process`: its
/// number, or `self`. Specification: proc(5).
pub fn peak_bytes(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib << 10)
}
