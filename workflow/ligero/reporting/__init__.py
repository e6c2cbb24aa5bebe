"""From artefacts to tables and figures. One small file a family of tables; nothing here trains or measures."""
