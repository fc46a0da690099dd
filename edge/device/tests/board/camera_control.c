/* Sets a control of a Video4Linux camera by its name:
 * camera-control DEVICE NAME VALUE
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	struct v4l2_queryctrl known = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };
	int camera;

	if (argc != 4)
		return 2;
	camera = open(argv[1], O_RDWR);
	if (camera < 0) {
		perror(argv[1]);
		return 1;
	}
	while (ioctl(camera, VIDIOC_QUERYCTRL, &known) == 0) {
		struct v4l2_control control = { .id = known.id, .value = atoi(argv[3]) };

		if (strcmp((char *)known.name, argv[2]) == 0) {
			if (ioctl(camera, VIDIOC_S_CTRL, &control) == 0)
				return 0;
			perror(argv[2]);
			return 1;
		}
		known.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
	}
	fprintf(stderr, "%s has no %s\n", argv[1], argv[2]);
	return 1;
}
