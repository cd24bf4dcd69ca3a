"""The small grammar of English and Marathi behind the bundled corpus."""
