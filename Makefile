# The front door. `make demo` and `make test` are all that a fresh machine with Rust needs.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
PREFIX ?= /usr
DESTDIR ?=
# Where the program lands; sshd needs it, and every folder above it, owned by root and writable by nobody else.
LIBEXECDIR ?= $(PREFIX)/libexec/ec2-instance-connect

.PHONY: help demo test e2e lint build bench mutate deny emulator install clean

help: ## What can be made
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: ## Push a key, see it verified, and see three others refused (no root, no EC2)
	@$(CARGO) build --quiet --locked --package ec2-instance-connect --package ec2-instance-connect-tests --bins
	@$(TARGET)/debug/demo

test: ## Every test that can run here, with one summary of what passed and what was skipped
	@CARGO='$(CARGO)' tests/run

e2e: build ## The whole login with real sshd, ssh, AWS CLI and mssh, in namespaces of its own (root)
	@tests/e2e/install
	$(CARGO) test --locked --package ec2-instance-connect-tests --test e2e -- --show-output

lint: ## Formatting and clippy, warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

build: ## The program as it ships: target/release/eic_run_authorized_keys
	$(CARGO) build --release --locked --package ec2-instance-connect

bench: build ## What a call costs, beside curl, in one run
	@$(CARGO) build --quiet --release --locked --package ec2-instance-connect-tests --bins
	@$(TARGET)/release/bench

mutate: ## Take each refusing check out, one at a time, and see the tests go red (half an hour)
	@$(CARGO) build --quiet --locked --package ec2-instance-connect-tests --bin mutate
	@CARGO='$(CARGO)' $(TARGET)/debug/mutate

deny: ## Licences, bans and sources of every dependency (cargo install --locked cargo-deny)
	$(CARGO) deny --locked check licenses bans sources

emulator: ## A fake IMDS and service to try things with by hand
	@$(CARGO) run --quiet --locked --package ec2-instance-connect-tests --bin emulator -- --directory '$(TARGET)/emulator'

install: build ## The programs into DESTDIR, under PREFIX
	install -D -m 0755 '$(TARGET)'/release/eic_run_authorized_keys '$(DESTDIR)$(LIBEXECDIR)/eic_run_authorized_keys'
	install -D -m 0755 '$(TARGET)'/release/ec2-instance-connect '$(DESTDIR)$(PREFIX)/sbin/ec2-instance-connect'
	install -D -m 0644 packaging/man/ec2-instance-connect.8 '$(DESTDIR)$(PREFIX)/share/man/man8/ec2-instance-connect.8'

clean:
	$(CARGO) clean
