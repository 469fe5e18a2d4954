"""From records to tables and figures. Reads what runs left behind; never trains, never imports torch."""
