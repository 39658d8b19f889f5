/**
 * Our own tables, in the schema `batch`, beside those of the engine. Versions only follow each other; a newer release runs
 * beside an older one over the same store, so a version only adds.
 */

/** The statements of each version. */
export const versions: ReadonlyArray<ReadonlyArray<string>> = [
  [
    `CREATE TABLE batch.retrieval (
      id uuid PRIMARY KEY,
      place bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
      account text NOT NULL,
      batch_id uuid NOT NULL,
      destination jsonb NOT NULL,
      format text NOT NULL,
      replace boolean NOT NULL DEFAULT false,
      notify_url text,
      state text NOT NULL DEFAULT 'waiting',
      fence bigint NOT NULL DEFAULT 0,
      seq bigint NOT NULL DEFAULT 0,
      attempt int NOT NULL DEFAULT 1,
      tries int NOT NULL DEFAULT 0,
      status text,
      result_count bigint NOT NULL DEFAULT 0,
      bytes bigint NOT NULL DEFAULT 0,
      total_bytes bigint,
      records bigint NOT NULL DEFAULT 0,
      receipt jsonb,
      error jsonb,
      publishing jsonb,
      next_look_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`,
    `CREATE INDEX retrieval_account ON batch.retrieval (account, place DESC)`,
    `CREATE INDEX retrieval_open ON batch.retrieval (account, batch_id) WHERE state IN ('waiting', 'running')`,
    `CREATE INDEX retrieval_running ON batch.retrieval (account) WHERE state = 'running'`,
    `CREATE INDEX retrieval_batch ON batch.retrieval (batch_id)`,
    `CREATE INDEX retrieval_ended ON batch.retrieval (updated_at) WHERE state IN ('done', 'failed', 'cancelled')`,
    `CREATE TABLE batch.look (
      account text NOT NULL,
      batch_id uuid NOT NULL,
      fence bigint NOT NULL DEFAULT 0,
      requests int NOT NULL DEFAULT 0,
      failures int NOT NULL DEFAULT 0,
      suspicion text NOT NULL DEFAULT '',
      suspected int NOT NULL DEFAULT 0,
      status text,
      result_count bigint NOT NULL DEFAULT 0,
      open boolean NOT NULL DEFAULT true,
      began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      leased boolean NOT NULL DEFAULT false,
      urgent boolean NOT NULL DEFAULT true,
      hinted_at timestamptz,
      PRIMARY KEY (account, batch_id)
    )`,
    `CREATE INDEX look_batch ON batch.look (batch_id)`,
    `CREATE INDEX look_due ON batch.look (account, next_at) WHERE open`,
    `CREATE INDEX look_urgent ON batch.look (account, next_at) WHERE open AND urgent`,
    `CREATE TABLE batch.gate (
      account text PRIMARY KEY,
      tat timestamptz NOT NULL DEFAULT clock_timestamp(),
      interval_ms double precision NOT NULL,
      burst_ms double precision NOT NULL
    )`,
    `CREATE TABLE batch.account (
      account text PRIMARY KEY,
      sealed_key bytea NOT NULL,
      updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`,
    `CREATE TABLE batch.notification (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      account text NOT NULL,
      retrieval_id uuid NOT NULL,
      url text NOT NULL,
      body text NOT NULL,
      state text NOT NULL DEFAULT 'pending',
      attempts int NOT NULL DEFAULT 0,
      detail text,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      next_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`,
    `CREATE INDEX notification_due ON batch.notification (next_at) WHERE state = 'pending'`,
    `CREATE INDEX notification_account ON batch.notification (account, created_at)`
  ],
  [
    `CREATE TABLE batch.campaign (
      id uuid PRIMARY KEY,
      place bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
      account text NOT NULL,
      name text NOT NULL,
      begun jsonb NOT NULL,
      bytes bigint NOT NULL,
      max_active int NOT NULL,
      max_credits double precision,
      retry_failed boolean NOT NULL DEFAULT false,
      state text NOT NULL DEFAULT 'waiting',
      fence bigint NOT NULL DEFAULT 0,
      seq bigint NOT NULL DEFAULT 0,
      attempt int NOT NULL DEFAULT 1,
      tries int NOT NULL DEFAULT 0,
      progress jsonb NOT NULL,
      report jsonb,
      error jsonb,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`,
    `CREATE INDEX campaign_account ON batch.campaign (account, place DESC)`,
    `CREATE INDEX campaign_running ON batch.campaign (account) WHERE state = 'running'`,
    `CREATE INDEX campaign_ended ON batch.campaign (updated_at) WHERE state IN ('done', 'failed', 'cancelled')`,
    `CREATE TABLE batch.campaign_entry (
      campaign_id uuid NOT NULL REFERENCES batch.campaign ON DELETE CASCADE,
      place int NOT NULL,
      fence bigint NOT NULL,
      batch_id text,
      entry text NOT NULL,
      PRIMARY KEY (campaign_id, place)
    )`,
    `CREATE TABLE batch.campaign_key (
      account text NOT NULL,
      key text NOT NULL,
      campaign_id uuid NOT NULL REFERENCES batch.campaign ON DELETE CASCADE,
      PRIMARY KEY (account, key)
    )`,
    `CREATE INDEX campaign_key_campaign ON batch.campaign_key (campaign_id)`
  ],
  [
    // What the clearing up asks for every minute.
    `CREATE INDEX look_ended ON batch.look (next_at) WHERE NOT open`,
    `CREATE INDEX retrieval_upload ON batch.retrieval (id)
      WHERE state IN ('failed', 'cancelled') AND publishing ? 'upload'`,
    `CREATE INDEX notification_created ON batch.notification (created_at)`
  ],
  [
    // What a worker does for a campaign: `held` by one, `woken` meanwhile, or `idle` until it is due. Of those before this
    // version it is not known what was done last.
    `ALTER TABLE batch.campaign ADD COLUMN step text NOT NULL DEFAULT 'held'`,
    // Whether it would submit more if the account had places.
    `ALTER TABLE batch.campaign ADD COLUMN starved boolean NOT NULL DEFAULT false`,
    `ALTER TABLE batch.campaign ADD COLUMN holds int NOT NULL DEFAULT 0`,
    // Why it submits no more, while what runs comes to its end.
    `ALTER TABLE batch.campaign ADD COLUMN stopping jsonb`,
    `CREATE TABLE batch.campaign_chunk (
      campaign_id uuid NOT NULL REFERENCES batch.campaign ON DELETE CASCADE,
      chunk int NOT NULL,
      account text NOT NULL,
      state text NOT NULL,
      batch_id uuid,
      request_id text,
      records bigint NOT NULL DEFAULT 0,
      fence bigint NOT NULL DEFAULT 0,
      held boolean NOT NULL DEFAULT false,
      stopped boolean NOT NULL DEFAULT false,
      tries int NOT NULL DEFAULT 0,
      PRIMARY KEY (campaign_id, chunk)
    )`,
    `CREATE INDEX campaign_chunk_open ON batch.campaign_chunk (account, state)
      WHERE state IN ('reserved', 'sending', 'lost', 'waiting', 'completed')`,
    `CREATE INDEX campaign_chunk_waiting ON batch.campaign_chunk (account, batch_id) WHERE state = 'waiting'`,
    // Jobs that came by the service's own submits: places of the account, and nobody's lost job.
    `CREATE TABLE batch.submission (
      account text NOT NULL,
      batch_id uuid NOT NULL,
      is_over boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      PRIMARY KEY (account, batch_id)
    )`,
    `CREATE INDEX submission_active ON batch.submission (account) WHERE NOT is_over`,
    `CREATE INDEX submission_created ON batch.submission (created_at)`
  ],
  [
    // Whether an entry is there already is asked before each one is added.
    `CREATE INDEX campaign_entry_text ON batch.campaign_entry (campaign_id, md5(entry))`
  ]
]
