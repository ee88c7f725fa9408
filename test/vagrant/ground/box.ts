/** A Vagrant box for libvirt, of the disk that the tests of virtual machines start from. */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpu, kernelArguments } from '../../vm/ground/emulation.ts';
import type { Image } from '../../vm/ground/image.ts';
import { run } from '../../vm/ground/run.ts';

/** The disk has no boot loader: the kernel is the box's, too. Root logs in, by the image's key. */
const vagrantfile = `Vagrant.configure('2') do |config|
  config.ssh.username = 'root'
  config.ssh.private_key_path = File.join(__dir__, 'key')
  config.ssh.insert_key = false
  config.vm.boot_timeout = 1200
  config.vm.provider('libvirt') do |libvirt|
    libvirt.kernel = File.join(__dir__, 'kernel')
    libvirt.initrd = File.join(__dir__, 'initrd')
    libvirt.cmd_line = '${kernelArguments}'
    libvirt.cpu_mode = 'custom'
    libvirt.cpu_model = 'qemu64'
    libvirt.qemuargs value: '-cpu'
    libvirt.qemuargs value: '${cpu}'
    libvirt.graphics_type = 'none'
    libvirt.video_type = 'none'
  end
end
`;

/** Makes the file `box`. */
export async function makeBox({ image, box }: { image: Image; box: string }): Promise<void> {
  const folder = `${box}.parts`;
  mkdirSync(folder);
  const at = (name: string): string => join(folder, name);
  await run(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', image.disk, at('box.img')]);
  for (const name of ['kernel', 'initrd', 'key'] as const) copyFileSync(image[name], at(name));
  writeFileSync(
    at('metadata.json'),
    JSON.stringify({ provider: 'libvirt', format: 'qcow2', virtual_size: 4 }),
  );
  writeFileSync(at('Vagrantfile'), vagrantfile);
  await run(['tar', '-C', folder, '-cf', box, '.']);
  rmSync(folder, { recursive: true });
}
