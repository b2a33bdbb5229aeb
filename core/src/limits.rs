//! Every bound, with its reason. Imports nothing.
//!
//! A bound that a user may change is the default of an option; the others are part of the protocol or of the
//! storage format.

/// Nesting of a JSON value. A recursive walk in wasm32 traps near 2,700 levels, and V8's own parser is slower long
/// before.
pub const DEPTH_MAX: usize = 64;
/// One document, as canonical JSON. An option raises it up to [`PUSH_BYTES_MAX`] less an envelope.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Mutations in one atomic transaction: one verdict has to be computed in one database transaction.
pub const TRANSACTION_MUTATIONS_MAX: usize = 500;
/// Bytes of one atomic transaction; a push is larger than this plus its envelope, so that any transaction can travel.
pub const TRANSACTION_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Entities that follow from one deletion: all of it is one database transaction.
pub const CASCADE_ENTITIES_MAX: usize = 10_000;
/// Mutations in one push.
pub const PUSH_MUTATIONS_MAX: usize = 1_000;
/// Bytes of one push body that the server reads.
pub const PUSH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of mutations that a client puts into one push by default; small enough to finish on a slow uplink.
pub const PUSH_BYTES_DEFAULT: usize = 512 * 1024;
/// Mutations that a client puts into one push by default.
pub const PUSH_COUNT_DEFAULT: usize = 500;
/// Length of an id, in bytes.
pub const ID_BYTES_MAX: usize = 128;
/// Length of a collection's name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Length of a JSON Pointer, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// How far a stamp may run ahead of the server after correction.
pub const CLOCK_AHEAD_MS_MAX: u64 = 60_000;
/// A push that was sent longer ago than this, by what its sender knows of the server's clock, is timed by its arrival.
pub const PUSH_TRAVEL_MS_MAX: u64 = 60_000;
/// What is known of the server's clock is forgotten after this time: by then two clocks may be 180 ms further apart.
pub const SERVER_CLOCK_AGE_MS_MAX: u64 = 30 * 60_000;
/// Stored size of one segment: Chromium puts values over 64 KiB into a blob, which doubles the cost of a read.
pub const SEGMENT_BYTES_MAX: usize = 60 * 1024;
/// Raw bytes that fill a segment before LZ4; real documents halve.
pub const SEGMENT_RAW_BYTES: usize = 110 * 1024;
/// One log record of server data or of a bulk write: as a segment, it must not become a blob.
pub const RECORD_BYTES: usize = 48 * 1024;
/// The lock holder seals in idle time from here on.
pub const SEAL_RECORDS: usize = 256;
/// The lock holder seals in idle time from here on.
pub const SEAL_BYTES: usize = 60 * 1024;
/// Any appender seals from here on, so that a cold open stays bounded without a leader.
pub const SEAL_RECORDS_FORCED: usize = 1_024;
/// Any appender seals from here on.
pub const SEAL_BYTES_FORCED: usize = 1024 * 1024;
/// Bytes of rows that are packed in one slice of a seal: about 10 ms of a tab's time.
pub const SEAL_SLICE_BYTES: usize = 1024 * 1024;
/// Dead share of the segments' rows, in percent, above which they are cleaned: write amplification 2.8 at this share.
pub const CLEAN_DEAD_PERCENT: u64 = 30;
/// Segments read and rewritten in one slice of cleaning: about 10 ms of a tab's time.
pub const CLEAN_SEGMENTS_SLICE: usize = 8;
/// Askers whose newest stored call is remembered: each instance of the package asks under a number of its own.
pub const CALLERS_MAX: usize = 32;
/// A record up to this size travels in the message to the other tabs, which then need not read it.
pub const BROADCAST_BYTES_MAX: usize = 16 * 1024;
/// One frame on the live channel; a larger one is announced and pulled.
pub const LIVE_FRAME_BYTES_MAX: usize = 64 * 1024;
/// A client's message on the live channel: the largest holds a token and names, or a push.
pub const LIVE_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// A push of more bytes goes by a request, which is compressed from about here on.
pub const LIVE_PUSH_BYTES_MAX: usize = 8 * 1024;
/// Bytes that the server keeps for a slow socket before it cuts it.
pub const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Time for the first message on a socket.
pub const SOCKET_AUTH_MS: u64 = 5_000;
/// Heartbeat of the live channel in both directions; two missed close it.
pub const SOCKET_HEARTBEAT_MS: u64 = 20_000;
/// Who leads looks at the log this often for what no message told of.
pub const LOG_LOOK_MS: u64 = 60_000;
/// A follower asks the leader for a word when it has heard none for so long. Answers are messages, which browsers do
/// not hold back in hidden tabs as they do timers.
pub const LEADER_SILENT_MS: u64 = 10_000;
/// ... and takes the lead when none comes in so long.
pub const LEADER_ANSWER_MS: u64 = 10_000;
/// Wait for an answer, or for the next bytes of one.
pub const REQUEST_TIMEOUT_MS: u64 = 10_000;
/// First backoff.
pub const RETRY_INITIAL_MS: u64 = 1_000;
/// Longest backoff.
pub const RETRY_MAX_MS: u64 = 30_000;
/// A server's `Retry-After` is honoured up to here.
pub const RETRY_AFTER_MS_MAX: u64 = 5 * 60_000;
/// Polling without a socket while the page is visible.
pub const POLL_VISIBLE_MS: u64 = 5_000;
/// Polling without a socket while the page is hidden.
pub const POLL_HIDDEN_MS: u64 = 300_000;
/// The client compares its data with the server's this often: the server hashes what this reader sees, a hundred
/// thousand rows a second.
pub const VERIFY_MS: u64 = 3_600_000;
/// ... and for the first time so long after a tab's first complete pull, so that one that is opened for a moment costs
/// nothing.
pub const VERIFY_FIRST_MS: u64 = 60_000;
/// Failed pushes, while other requests succeed, after which the batch is halved.
pub const PUSH_FAILURES_HALVE: u32 = 3;
/// Failures of a mutation or transaction that was pushed alone, after which it is suspect.
pub const SUSPECT_FAILURES: u32 = 5;
/// What is lost within so long of each other, the line lost.
pub const LOST_TOGETHER_MS: u64 = 2_000;
/// Repairs of the watchdog that `health` names.
pub const REPAIRS_KEPT: usize = 10;
/// A suspect mutation is tried this often.
pub const SUSPECT_RETRY_MS: u64 = 60_000;
/// A server that asks for another release of the app is asked again this often.
pub const UPGRADE_RETRY_MS: u64 = 60_000;
/// A held mutation is tried again this often.
pub const HELD_RETRY_MS: u64 = 15_000;
/// A held mutation becomes a dead letter after this time.
pub const HELD_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// A client keeps acknowledged mutations so long, for a server that is restored from a backup.
pub const JOURNAL_MS: u64 = 7 * 24 * 3_600_000;
/// Bytes of acknowledged mutations that a client keeps.
pub const JOURNAL_BYTES_MAX: usize = 1024 * 1024;
/// Entities that are asked for one by one at a time.
pub const FETCHES_MAX: usize = 4;
/// The leader looks so often for rows to give up.
pub const EVICT_MS: u64 = 15_000;
/// Rows that are looked at, or given up, at a time: their fields are read, some microseconds each.
pub const EVICT_ROWS: usize = 1_000;
/// So many bytes, and twice what is to be written, are freed in a full store for a write of the user's: browsers count
/// in steps of their own.
pub const ROOM_BYTES: u64 = 64 * 1024;
/// After freeing some, or finding none, was no help it is not tried again for so long.
pub const ROOM_MS: u64 = 60_000;
/// A row outside what a collection's options ask for is kept so long after it was last used, where they say no time.
pub const GUEST_MS: u64 = 3_600_000;
/// A row that is used is stored anew so often at the most, to say so.
pub const USED_MS: u64 = 3_600_000;
/// Verdicts below a replica's floor are kept so long by the server, and so are tombstones, leave markers and marks.
pub const HORIZON_MS: u64 = 30 * 24 * 3_600_000;
/// Conflicts that are kept of one entity; those that still wait are never dropped.
pub const CONFLICTS_MAX: usize = 100;
/// Values of one entity that wait for one author at one time; more writes of that kind are refused.
pub const CONFLICTS_OPEN_MAX: usize = 1_000;
/// Bytes of conflicts that are kept of one entity.
pub const CONFLICT_BYTES_MAX: usize = 256 * 1024;
/// A conflict that nobody has to decide is kept so long.
pub const CONFLICT_MS: u64 = 30 * 24 * 3_600_000;
/// A conflict that comes back so often after its function settled it waits for a person (rule 18).
pub const CONFLICT_ROUNDS_MAX: u32 = 5;
/// Items of an array that are merged one by one; each is compared with each, so 1,000 take some milliseconds.
pub const MERGE_ITEMS_MAX: usize = 1_000;
/// Words of a text that are merged one by one, blanks and signs included: as many in quite another order take
/// a tenth of a second without optimisation, while the server's writer waits.
pub const MERGE_WORDS_MAX: usize = 5_000;
/// Comparisons of words in the texts of one push: 14,000 for one of the longest with fifty words changed, 3.7 million
/// where nothing is in its place any more.
pub const MERGE_STEPS_PUSH: u64 = 10_000_000;
/// While a long queue goes up, what others changed is read this often: it may come between two pushes.
pub const PULL_PUT_OFF_MS: u64 = 1_000;
/// Rows between two checkpoints of a pull.
pub const PULL_CHECKPOINT_ROWS: usize = 500;
/// So many of a device's own mutations are told of with what they did: a push holds as many.
pub const APPLIED_MAX: usize = 500;

/// Keys that JavaScript takes for a prototype; refused in documents, paths, ids and names.
pub const FORBIDDEN_KEYS: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Documents that lie unpacked in a tab's memory, in bytes; over it segments stay packed.
pub const MEMORY_BYTES: usize = 96 * 1024 * 1024;

/// What is unpacked of those to be read, in bytes, before it is packed again; of a small budget no more than that.
pub const OPEN_TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// ... and at least so much, or each read would pack again what the one before it unpacked.
pub const OPEN_TEXT_BYTES_MIN: usize = 256 * 1024;
