# The tree as a tar archive for the first VM, made by Vagrant's own Ruby: so the host needs neither rsync nor a shared
# folder, and a checkout with CRLF line ends, or without symbolic links and execute bits, gives the same archive.
require 'fileutils'
require 'find'
require 'rubygems/package'

module WeftSource
  # What is made from the tree, not part of it.
  MADE = %w[.git .vagrant .node node_modules build dist].freeze

  def self.files(root)
    found = []
    Find.find(root) do |path|
      name = path.delete_prefix("#{root}/")
      Find.prune if path != root && File.directory?(path) && MADE.include?(name.split('/').first)
      found << name if File.file?(path)
    end
    found.sort
  end

  def self.content(path)
    bytes = File.binread(path)
    bytes.include?("\0") ? bytes : bytes.gsub("\r\n", "\n")
  end

  # Writes the archive to `target`, whole.
  def self.archive(root, target)
    FileUtils.mkdir_p(File.dirname(target))
    made = "#{target}.#{Process.pid}"
    File.open(made, 'wb') do |file|
      Gem::Package::TarWriter.new(file) do |tar|
        files(root).each do |name|
          bytes = content(File.join(root, name))
          mode = bytes.start_with?('#!') ? 0o755 : 0o644
          tar.add_file_simple(name, mode, bytes.bytesize) { |entry| entry.write(bytes) }
        end
      end
    end
    File.rename(made, target)
    target
  end
end
