//! Bugs on purpose, one at a time, to see whether the simulator finds them: `cargo xtask sim --planted`.
//!
//! Only with the feature `planted`, which nothing else asks for. Without it every question is answered `false` when
//! this crate is compiled, and what stands behind it is gone.

#[cfg(feature = "planted")]
use std::cell::Cell;

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in this thread, or none.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

impl Bug {
    /// Whether it is planted here.
    #[cfg(feature = "planted")]
    pub fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }

    /// Whether it is planted here: never.
    #[cfg(not(feature = "planted"))]
    #[inline(always)]
    pub const fn is_planted(self) -> bool {
        false
    }
}

macro_rules! bugs {
    ($(#[doc = $text:literal] $name:ident: $breaks:literal,)+) => {
        /// A bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $(#[doc = $text] $name,)+
        }

        /// All of them: its name, what it does, and which rule or invariant of the founders' papers that breaks.
        pub const BUGS: &[(Bug, &str, &str, &str)] = &[$((Bug::$name, stringify!($name), $text, $breaks),)+];
    };
}

bugs! {
    /// An acknowledged mutation leaves the view before the cursor has reached it.
    AckMovesConfirmed: "rule 1",
    /// The change of one's own commit is passed over.
    EchoDropped: "rule 1",
    /// A record of an older leader takes effect.
    OldFenceFolded: "rule 3",
    /// Edits are joined after one of them was sent.
    CoalesceAfterSent: "rule 3",
    /// A rejected mutation leaves no dead letter.
    RejectedForgotten: "invariant 1",
    /// A held mutation leaves the queue.
    HeldTakenForDone: "rule 10",
    /// An older row takes the place of a newer one.
    OlderRowWins: "invariant 5",
    /// Rows of a pull are shown before it is done.
    StagedShownEarly: "rule 22",
    /// A reset keeps what a pull that was cut had staged.
    ResetKeepsStaged: "rule 22",
    /// A reset keeps what is gone.
    ResetKeepsRows: "invariant 8",
    /// What an edit's author saw keeps its old name.
    WasNotMigrated: "invariant 13",
    /// Edits below a renamed field keep their old names.
    DeepPathsStay: "invariant 13",
    /// What may have been sent under a former name is migrated.
    NamedMigrated: "rule 6",
    /// An edit that cannot be migrated goes up as it is.
    UnmigratedSent: "invariant 13",
    /// The authority takes edits of an older version for ones of its own.
    NotUpcast: "invariant 13",
    /// Who has an older release is taken to have seen what it does not show.
    BroughtSeen: "invariant 7",
    /// What was acknowledged is not kept for a server that loses it.
    NoJournal: "invariant 15",
    /// A revision of another history is taken for one of this.
    OldBaseKept: "rule 24",
    /// Verdicts of another history settle edits.
    VerdictsOfAnyHistory: "rule 24",
    /// The floor is raised past what is not decided.
    FloorTooHigh: "rule 6",
    /// The members of a transaction go up as edits of their own.
    TransactionsForgotten: "invariant 6",
    /// Edits of a lost store are taken in by each tab.
    AdoptedTwice: "invariant 17",
    /// What a copy sends again does not say its former name.
    CopyNotNamed: "invariant 16",
    /// Joined edits have the base of the later one.
    JoinedWithoutBase: "rule 3",
    /// What may have arrived under its former name is joined.
    NamedJoined: "rule 6",
    /// An edit is joined with one that its author had not seen.
    UnseenJoined: "rule 13",
    /// What follows a mutation that waits goes before it.
    HeldOvertaken: "rule 10",
    /// A transaction is cut in two by the end of a push.
    TransactionCut: "rule 11",
    /// A tab that leads no more goes on sending.
    OldLeaderSends: "rule 3",
    /// A push is sent in the opposite order.
    OutOfOrder: "rule 12",
    /// What a pull or a frame shows of a push that is not answered yet stays in the view besides.
    AppliedIgnored: "rule 1",
    /// A push leaves before the log says so.
    SentUnrecorded: "rule 3",
    /// A push that failed is never sent again.
    FailureTakenForDone: "invariant 25",
    /// A copy keeps the name of the store.
    ForkUnheeded: "rule 8",
    /// What other tabs wrote in between is not read.
    GapNotRead: "rule 2",
    /// A store that took the place of another goes on as if it were that.
    NewStoreNotNoticed: "invariant 17",
    /// A frame is taken whatever it continues.
    FramesNotChained: "rule 21",
    /// A frame is taken while a pull runs.
    FramesDuringPull: "rule 21",
    /// Nobody looks how far frames went.
    LostFramesNotMissed: "invariant 23",
    /// A leader that is silent is waited for.
    FrozenLeaderKept: "invariant 21",
    /// A tab that comes is not told how far the log is.
    NewcomersNotTold: "invariant 20",
    /// The base is the confirmed revision, whatever waits before it.
    BaseNotOfChain: "rule 13",
    /// An edit does not say what its author saw.
    WasNotSaid: "rule 13",
    /// The undo of added items takes out those of others, too.
    UndoneWhole: "invariant 7",
    /// A number that comes again is decided again.
    NoDedupe: "rule 6",
    /// A verdict is not stored with its effect.
    VerdictNotKept: "invariant 25",
    /// Who sends again gets another verdict than the first.
    NewVerdictForOld: "invariant 2",
    /// What was decided under a later name is not known under the former one.
    ClaimsNotKept: "rule 6",
    /// The authority does not look under the former name.
    FormerNotKnown: "invariant 17",
    /// What a transaction did before a member failed stays.
    TransactionInParts: "rule 11",
    /// Each member of a transaction has a seq of its own.
    SeqForEach: "rule 22",
    /// A verdict says what others may not be told.
    LosersTold: "rule 27",
    /// Other content under a known number gets the verdict of the first.
    NoFork: "rule 8",
    /// Any content under a number that was given up is void.
    VoidForAll: "rule 8",
    /// Whose value lost on arrival is not told.
    OverwrittenNotTold: "invariant 7",
    /// Who deleted what comes back is not told.
    RevivedNotTold: "rule 30",
    /// An author's second value for a path that waits replaces nothing.
    ParkedTwice: "rule 17",
    /// An insert from before a deletion brings the entity back.
    OldInsertRevives: "rule 30",
    /// The deletion of an unknown id is forgotten.
    NoTombstone: "rule 24",
    /// A deletion tells nobody whose changes it takes along.
    DeletedUnseen: "invariant 7",
    /// A write of another between base and now is taken for seen.
    ConcurrencyUnseen: "rule 13",
    /// Of two concurrent writes the earlier stamp wins.
    EarlierWins: "rule 20",
    /// A stored value that loses is not noted.
    NothingDisplaced: "rule 19",
    /// What should wait for its author takes effect.
    ManualApplies: "rule 17",
    /// A device's clock decides who wrote last.
    ClockTrusted: "invariant 14",
    /// A cursor past the horizon is gone on from.
    CursorsTrusted: "invariant 8",
    /// A restored server does not get the journal.
    JournalStays: "rule 24",
    /// What the push changed is not pulled where there is no live channel.
    PulledNever: "invariant 3",
    /// A cold open passes over edits that segments hold.
    QueueNotLoaded: "invariant 1",
    /// A write that failed is told as stored.
    FailedKept: "rule 4",
    /// A record of another tab is folded though one before it is missing.
    HintsFolded: "rule 2",
    /// Who gets the lock sends before its `Lead` is in the log.
    LeadsAtOnce: "rule 3",
    /// Nobody compares digests.
    DivergenceIgnored: "invariant 29",
    /// A backoff ends never.
    WakesNoMore: "invariant 3",
    /// Whoever is of the tenant is told of every row.
    AllVisible: "invariant 11",
    /// A verdict that is told again shows what its author may not see any more.
    OldAnswersShown: "rule 27",
    /// A conflict shows what others wrote to an author who may not see the entity any more.
    ConflictsShowOthers: "rule 27",
    /// What a new membership shows is not sent from the beginning.
    GainedNotBackfilled: "rule 23",
    /// A lost membership is not told.
    LostNotForgotten: "rule 28",
    /// Who is put out of a group goes on getting its frames.
    FramesAfterRevocation: "invariant 12",
    /// A row that leaves a group leaves nothing there.
    NoLeaveMarker: "rule 26",
    /// A put does not name all of the reader's groups that hold the row.
    GroupsNotNamed: "rule 26",
    /// A tombstone keeps no groups.
    TombstoneWithoutGroups: "rule 26",
    /// A child is taken though its parent is not there.
    ParentNotAwaited: "invariant 10",
    /// A child is taken though its parent was deleted.
    GoneParentTaken: "rule 31",
    /// What hangs on what a cascade deletes stays.
    CascadeOneDeep: "invariant 10",
    /// An entity is deleted though another refers to it that restricts this.
    RestrictIgnored: "rule 31",
    /// References to what is deleted stay.
    DanglingLeft: "rule 31",
    /// What a cascade takes along, unseen by who deleted, is told to nobody.
    CascadeUntold: "rule 31",
    /// What follows from a deletion has a seq of its own.
    CascadeApart: "rule 22",
    /// Who inserts the natural key of an entity that he may not see is told its id.
    RemapUnseen: "rule 29",
    /// An edit gives an entity a key that another has.
    KeysCollide: "rule 29",
    /// A client does not hear that what it inserted has another id.
    RemapNotTaken: "invariant 9",
    /// A deleted entity keeps its natural key.
    TombstoneHoldsKey: "rule 29",
    /// Empty fields of an insert win over what is there.
    EmptyWins: "rule 29",
    /// An edit under an id that became another's does not find its entity.
    AliasForgotten: "invariant 9",
    /// References to an id that became another's stay as they are.
    ReferencesUnresolved: "invariant 9",
    /// The id of a deleted entity becomes another's by who may not see it.
    IdsGivenAway: "rule 29",
    /// An id leads to one that became another's itself.
    ChainsLeft: "invariant 9",
}
