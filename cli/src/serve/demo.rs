//! `serve --demo N`: a fleet to try things on, with endpoints that really speak TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Instant;

use dcm_workers::certmon::{self, target::AddressTemplate};
use dcm_workers::demo::{self, authority::Authority, endpoints::Endpoints, fill};
use tokio::task::JoinSet;

use super::Process;
use crate::commands::Failure;
use crate::config::Role;

/// Seconds between audits of a demo subcloud.
const AUDIT_EVERY: u64 = 5;

/// What cert-mon needs to know of the demo.
pub struct Demo {
    /// Where the endpoints are.
    pub template: AddressTemplate,
    /// Directory with the CA each of them should be signed by.
    pub ca_dir: PathBuf,
    /// A faster schedule than the real one.
    pub schedule: certmon::Settings,
}

impl Demo {
    /// Serves the endpoints where cert-mon runs, and fills the journal where the API runs; `None` without `--demo`.
    ///
    /// # Errors
    /// [`Failure::Start`] if the journal holds subclouds that are in the way, or no endpoint can be served.
    pub async fn start(
        process: &Process,
        tasks: &mut JoinSet<Result<(), Failure>>,
    ) -> Result<Option<Self>, Failure> {
        let Some(count) = process.config.demo else { return Ok(None) };
        let fleet = demo::fleet(count).map_err(|error| Failure::start("demo", error))?;
        let demo = match process.config.has(Role::CertMon) {
            true => Some(Self::serve(process, &fleet, tasks).await?),
            false => None,
        };
        if process.config.has(Role::Api) {
            let started = Instant::now();
            let controller = &process.config.controller;
            let settings = fill::FillSettings {
                count,
                software_version: controller.software_version.clone(),
                systemcontroller_gateway_ip: gateway(&controller.management_end_ip)?,
            };
            let filled =
                fill::fill(&process.stores.fleet, &process.stores.journal, &settings, &process.stop).await;
            let filled = filled.map_err(|error| Failure::start("demo", error))?;
            tracing::info!(count, ?filled, took = ?started.elapsed(), "the demo fleet is there");
        }
        Ok(demo)
    }

    async fn serve(
        process: &Process,
        fleet: &[demo::DemoSubcloud],
        tasks: &mut JoinSet<Result<(), Failure>>,
    ) -> Result<Self, Failure> {
        let dir = process.config.data_dir.join("demo");
        let ca_dir = dir.join("expected");
        let failed = |error: &dyn std::fmt::Display| Failure::start("demo endpoints", error);
        let regions: Vec<String> = fleet.iter().map(|subcloud| subcloud.region.clone()).collect();
        let authority = Authority::open(&dir).map_err(|error| failed(&error))?;
        authority
            .write_expected(&ca_dir, regions.iter().map(String::as_str))
            .map_err(|error| failed(&error))?;
        let endpoints = Endpoints::start(authority, regions, process.stop.clone()).await;
        let endpoints = endpoints.map_err(|error| failed(&error))?;
        let template = endpoints.template().parse().map_err(|error| failed(&error))?;
        tasks.spawn(async move {
            endpoints.stopped().await;
            Ok(())
        });
        let schedule = certmon::Settings {
            audit_interval: AUDIT_EVERY,
            audit_batch_size: fleet.len().max(1),
            poll_interval: 1,
            startup_audit_all: true,
            ..process.config.cert_mon.schedule.clone()
        };
        Ok(Self { template, ca_dir, schedule })
    }
}

/// The address after the controller's own pool, where subclouds may reach it (subclouds.md V4.12).
fn gateway(pool_end: &str) -> Result<IpAddr, Failure> {
    let end: IpAddr =
        pool_end.parse().map_err(|error| Failure::start("controller.management_end_ip", error))?;
    Ok(match end {
        IpAddr::V4(end) => Ipv4Addr::from_bits(end.to_bits().saturating_add(1)).into(),
        IpAddr::V6(end) => Ipv6Addr::from_bits(end.to_bits().saturating_add(1)).into(),
    })
}
