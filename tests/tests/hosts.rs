//! The hosts themselves: what the other tests rely on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use watchkeep_tests::host::Cable;
use watchkeep_tests::{Host, wait};

#[test]
fn a_host_boots_and_nginx_dies_as_systemd_sees_it() -> Result<()> {
    let host = Host::boot("web-1")?;
    assert_eq!(host.run(["hostname"])?, "web-1");
    assert_eq!(host.run(["systemctl", "is-active", "nginx"])?, "active");
    let listening = host.run(["ss", "--tcp", "--listening", "--numeric", "--no-header"])?;
    assert!(listening.contains("0.0.0.0:80"), "{listening}");

    host.run(["sh", "-c", "kill -9 $(cat /run/nginx.pid)"])?;
    wait::until(Duration::from_secs(5), "nginx to fail", || {
        let shown = host.run(["systemctl", "show", "nginx", "--property=ActiveState,Result"])?;
        ensure!(shown.contains("Result=signal") && shown.contains("ActiveState=failed"), "{shown}");
        Ok(())
    })
}

#[test]
fn hosts_are_apart_and_a_cut_link_is_silent() -> Result<()> {
    let (one, other) = (Host::boot("web-1")?, Host::boot("web-2")?);
    assert_ne!(one.run(["cat", "/etc/machine-id"])?, other.run(["cat", "/etc/machine-id"])?);
    assert_ne!(one.address(), other.address());

    let listener = std::net::TcpListener::bind((one.gateway(), 0))?;
    let port = listener.local_addr()?.port();
    let dial = format!("exec 3<>/dev/tcp/{}/{port} && cat <&3 && echo closed", one.gateway());
    let mut calls: Vec<_> = [&one, &other]
        .iter()
        .map(|host| host.command(["bash", "-c", &dial]).stdout(std::process::Stdio::piped()).spawn())
        .collect::<Result<_, _>>()?;
    let mut ends = Vec::new();
    for _ in 0..2 {
        ends.push(listener.accept()?);
    }
    let cut_at = Instant::now();
    one.link().cut()?;
    let (theirs, of_one) = ends.into_iter().partition::<Vec<_>, _>(|(_, from)| from.ip() != one.address());
    drop(theirs);
    drop(of_one);
    assert!(calls[1].wait()?.success(), "the other host was told that its connection ended");
    wait::throughout(Duration::from_secs(1), "silence on the cut link", || {
        ensure!(calls[0].try_wait()?.is_none(), "it was told after {:?}", cut_at.elapsed());
        Ok(())
    })?;
    one.link().mend()?;
    assert!(calls[0].wait()?.success(), "after mending, the end of the connection arrives");
    Ok(())
}

#[test]
fn a_cable_joins_two_hosts_and_a_small_disk_is_small() -> Result<()> {
    let (database, shop) = (Host::boot("db-1")?, Host::boot("shop-1")?);
    let cable = Cable::lay(&database, &shop, 1)?;
    database
        .write("/etc/redis/redis.conf", &format!("bind {}\nprotected-mode no\nsupervised systemd\n", cable.first))?;
    database.run(["systemctl", "restart", "redis-server"])?;
    let asked = shop.run(["timeout", "5", "redis-cli", "-h", &cable.first.to_string(), "PING"])?;
    assert_eq!(asked, "PONG");

    let disk = shop.mount_small("/srv/small", 16)?;
    let shown = shop.run(["df", "--output=source,size,target", "--block-size=1M", "/srv/small"])?;
    assert!(shown.contains(&disk.device) && shown.contains("/srv/small"), "{shown}");
    let full = shop.exec(["dd", "if=/dev/zero", "of=/srv/small/ballast", "bs=1M", "count=20", "status=none"])?;
    assert!(!full.status.success(), "20 MB went into 16");
    shop.run(["umount", "/srv/small"])?;
    Ok(())
}

#[test]
fn a_power_cut_keeps_the_disk_and_a_dropped_host_leaves_nothing() -> Result<()> {
    let mut host = Host::boot("web-1")?;
    let outside = host.gateway();
    host.write("/root/kept", "what was written\n")?;
    host.power_cut()?;
    host.power_on()?;
    assert_eq!(host.run(["cat", "/root/kept"])?, "what was written");
    host.stop()?;
    host.power_on()?;
    assert_eq!(host.run(["systemctl", "is-active", "nginx"])?, "active");
    drop(host);

    let mounts = std::fs::read_to_string("/proc/mounts")?;
    assert!(!mounts.contains("watchkeep-host-"), "{mounts}");
    wait::until(Duration::from_secs(5), "the link to go", || {
        let bound = std::net::TcpListener::bind((outside, 0));
        ensure!(bound.is_err(), "{outside} is still an address of this machine");
        Ok(())
    })
}
