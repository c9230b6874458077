-- How the canaries of the armed phase are judged; none in what was armed before.
ALTER TABLE armed ADD COLUMN canaries TEXT NOT NULL DEFAULT '[]';
