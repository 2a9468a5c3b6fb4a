-- A source may have put dividends into its prices too: those up to this date; NULL: none.
ALTER TABLE price_bases ADD COLUMN dividends_through DATE;
ALTER TABLE price_bases_history ADD COLUMN dividends_through DATE;
