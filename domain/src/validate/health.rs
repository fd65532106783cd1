//! The health report of a subcloud (subclouds.md §7.10, §6.6 step 16).

const FAILED: &str = "[Fail]";
const ALARM_CHECK_FAILED: &str = "No alarms: [Fail]";
const NOT_AFFECTING: &str = "[0] of which are management affecting";

/// Whether `report` says that the subcloud can be worked on: no check failed, or only that for alarms, none of which
/// affects management.
pub fn is_healthy(report: &str) -> bool {
    match report.matches(FAILED).count() {
        0 => true,
        1 => report.contains(ALARM_CHECK_FAILED) && !has_affecting_alarms(report),
        _ => false,
    }
}

/// Whether `report` tells of alarms that affect management; other failed checks do not matter.
pub fn has_affecting_alarms(report: &str) -> bool {
    report.contains(ALARM_CHECK_FAILED) && !report.contains(NOT_AFFECTING)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: &str = "System Health:\nAll hosts are provisioned: [OK]\nNo alarms: [OK]\n";
    const HARMLESS: &str = "All hosts are provisioned: [OK]\nNo alarms: [Fail]\n\
        [2] alarms found, [0] of which are management affecting\n";
    const AFFECTING: &str = "All hosts are provisioned: [OK]\nNo alarms: [Fail]\n\
        [2] alarms found, [1] of which are management affecting\n";
    const CEPH: &str = "Ceph Storage Healthy: [Fail]\nNo alarms: [OK]\n";
    const CEPH_AND_ALARMS: &str = "Ceph Storage Healthy: [Fail]\nNo alarms: [Fail]\n\
        [1] alarms found, [0] of which are management affecting\n";

    #[test]
    fn sc_247_248_what_is_healthy() {
        assert!(is_healthy(HEALTHY) && is_healthy(HARMLESS));
        assert!(!is_healthy(AFFECTING) && !is_healthy(CEPH) && !is_healthy(CEPH_AND_ALARMS));
    }

    #[test]
    fn only_alarms_that_affect_management_count() {
        assert!(has_affecting_alarms(AFFECTING));
        for harmless in [HEALTHY, HARMLESS, CEPH, CEPH_AND_ALARMS] {
            assert!(!has_affecting_alarms(harmless));
        }
    }
}
