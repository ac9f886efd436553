ALTER TABLE enrollment.enrollments
    ADD COLUMN section_id uuid CONSTRAINT enrollments_section_fkey REFERENCES enrollment.sections (id),
    -- Of the section, or of this student alone. NULL: never.
    ADD COLUMN expires_at timestamptz;
CREATE INDEX idx_enrollments_section ON enrollment.enrollments (section_id, status) WHERE section_id IS NOT NULL;
-- What has to expire next.
CREATE INDEX idx_enrollments_due ON enrollment.enrollments (expires_at) WHERE status IN ('active', 'suspended');
