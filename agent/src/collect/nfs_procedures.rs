//! NFS's procedures by their numbers, under node_exporter's names for them; empty where it has none.

/// A line of the file, the version's label, and the procedures in the line's order.
type Version = (&'static str, &'static str, &'static [&'static str]);

/// [Source: RFC 1094, 2.2; fs/nfs/nfs4xdr.c for the client's own order of version 4]
pub const CLIENT: [Version; 3] = [("proc2", "2", &VERSION_2), ("proc3", "3", &VERSION_3), ("proc4", "4", &CLIENT_4)];

/// The server does not tell of calls that do nothing.
pub const SERVER: [Version; 3] =
    [("proc2", "2", &without_null(VERSION_2)), ("proc3", "3", &without_null(VERSION_3)), ("proc4ops", "4", &SERVER_4)];

const fn without_null<const N: usize>(mut procedures: [&'static str; N]) -> [&'static str; N] {
    procedures[0] = "";
    procedures
}

#[rustfmt::skip]
const VERSION_2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create", "Remove", "Rename",
    "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];

/// [Source: RFC 1813, 3.3]
#[rustfmt::skip]
const VERSION_3: [&str; 22] = [
    "Null", "GetAttr", "SetAttr", "Lookup", "Access", "ReadLink", "Read", "Write", "Create", "MkDir", "SymLink", "MkNod",
    "Remove", "RmDir", "Rename", "Link", "ReadDir", "ReadDirPlus", "FsStat", "FsInfo", "PathConf", "Commit",
];

#[rustfmt::skip]
const CLIENT_4: [&str; 59] = [
    "Null", "Read", "Write", "Commit", "Open", "OpenConfirm", "OpenNoattr", "OpenDowngrade", "Close", "Setattr", "FsInfo",
    "Renew", "SetClientID", "SetClientIDConfirm", "Lock", "Lockt", "Locku", "Access", "Getattr", "Lookup", "LookupRoot",
    "Remove", "Rename", "Link", "Symlink", "Create", "Pathconf", "StatFs", "ReadLink", "ReadDir", "ServerCaps",
    "DelegReturn", "GetACL", "SetACL", "FsLocations", "ReleaseLockowner", "Secinfo", "FsidPresent", "ExchangeID",
    "CreateSession", "DestroySession", "Sequence", "GetLeaseTime", "ReclaimComplete", "LayoutGet", "GetDeviceInfo",
    "LayoutCommit", "LayoutReturn", "SecinfoNoName", "TestStateID", "FreeStateID", "GetDeviceList", "BindConnToSession",
    "DestroyClientID", "Seek", "Allocate", "DeAllocate", "LayoutStats", "Clone",
];

/// The operations inside a call: 0 to 2 are none. [Source: RFC 7530, 16]
#[rustfmt::skip]
const SERVER_4: [&str; 40] = [
    "", "", "", "Access", "Close", "Commit", "Create", "DelegPurge", "DelegReturn", "GetAttr", "GetFH", "Link", "Lock",
    "Lockt", "Locku", "Lookup", "LookupRoot", "Nverify", "Open", "OpenAttr", "OpenConfirm", "OpenDgrd", "PutFH", "PutPubFH",
    "PutRootFH", "Read", "ReadDir", "ReadLink", "Remove", "Rename", "Renew", "RestoreFH", "SaveFH", "SecInfo", "SetAttr",
    "SetClientID", "SetClientIDConfirm", "Verify", "Write", "RelLockOwner",
];
