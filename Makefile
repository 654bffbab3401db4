# The entry point: `make help` lists what it can do.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
PREFIX ?= /usr
DESTDIR ?=
# Where the program is installed; sshd requires it, and every directory above it, to be owned by root and writable by nobody else.
LIBEXECDIR ?= $(PREFIX)/libexec/ec2-instance-connect
# Where the built programs are.
BUILT ?= $(TARGET)/release
# Where zsh looks, by distribution; Debian's folder is vendor-completions.
ZSH_COMPLETIONS ?= site-functions

.PHONY: help demo test test-packages e2e lint build bench mutate deny emulator install install-built packages reproduce repo clean

help: ## What can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: ## Push a key, see it verified, and see three others refused (no root, no EC2)
	@echo 'The first build takes about two minutes on 2 cores, and 650 MB in $(TARGET)/. Nothing is installed.'
	@$(CARGO) build --locked --package ec2-instance-connect --package ec2-instance-connect-tests --bins
	@$(TARGET)/debug/demo

test: ## Every test that can run here, with one summary of what passed and what was skipped
	@echo 'This takes about twenty minutes on 2 cores and 4 GB in $(TARGET)/, the first time.'
	@echo 'As root on Debian or Ubuntu, it installs the packages that tests/e2e/install lists where they are missing, keeps'
	@echo 'Debian root file systems for its containers and a Python venv with the AWS CLI in $(TARGET)/, and changes nothing else.'
	@CARGO='$(CARGO)' tests/run

test-packages: ## Install, upgrade, roll back and remove what is in dist/, and log in each time (root; make packages first)
	@echo 'This takes about fifteen minutes on 2 cores. As root on Debian, it installs the packages that packaging/tools lists.'
	@packaging/tools
	@CARGO='$(CARGO)' tests/run --package ec2-instance-connect-tests --features packages --test artifacts --test packages

e2e: build ## The whole login with real sshd, ssh, AWS CLI and mssh, in namespaces of its own (root)
	@tests/e2e/install
	$(CARGO) test --locked --package ec2-instance-connect-tests --test e2e -- --show-output

lint: ## Formatting and clippy, warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings

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
	@$(CARGO) run --locked --package ec2-instance-connect-tests --bin emulator -- --directory '$(TARGET)/emulator'

install: build ## The programs into DESTDIR, under PREFIX
	@$(MAKE) --no-print-directory install-built

# What `build` built, or BUILT holds; the packages are made of it too.
install-built:
	install -D -m 0755 '$(BUILT)/eic_run_authorized_keys' '$(DESTDIR)$(LIBEXECDIR)/eic_run_authorized_keys'
	install -D -m 0755 '$(BUILT)/ec2-instance-connect' '$(DESTDIR)$(PREFIX)/sbin/ec2-instance-connect'
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/man/man8' packaging/man/*.8
	install -D -m 0644 systemd/ec2-instance-connect.sysusers.conf '$(DESTDIR)$(PREFIX)/lib/sysusers.d/ec2-instance-connect.conf'
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/doc/ec2-instance-connect' README.md SECURITY.md
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/doc/ec2-instance-connect/docs' docs/*.md
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/doc/ec2-instance-connect/sshd' packaging/sshd/*.conf
	install -D -m 0755 -t '$(DESTDIR)$(PREFIX)/share/doc/ec2-instance-connect/examples' packaging/examples/*
# Made for packages beside the programs.
ifneq ($(shell test -d '$(BUILT)/completions' && echo there),)
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/doc/ec2-instance-connect' '$(BUILT)/THIRD-PARTY'
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' '$(BUILT)'/completions/bash/*
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/zsh/$(ZSH_COMPLETIONS)' '$(BUILT)'/completions/zsh/*
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d' '$(BUILT)'/completions/fish/*
endif

reproduce: ## Build the packages again elsewhere, and see that no byte of dist/ differs
	@packaging/reproduce dist

repo: ## Signed apt and yum repositories of dist/ in dist/repo: KEY=fingerprint, BASEURL=where it will be served
	@packaging/tools
	@packaging/repo '$(KEY)' dist

packages: ## .deb and .rpm for x86_64 and arm64, their SBOM and checksums, in dist/ (Debian 12)
	@packaging/build dist

clean:
	$(CARGO) clean
